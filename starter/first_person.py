"""First-person films, rendered on the fly: a walk through maps of Freedoom, without enemies, weapon or display.

    python -m starter.first_person --game freedoom2 --maps MAP01 MAP02 --films 2 --seconds 30 --out FOLDER

They need the package vizdoom (MIT), which brings the maps and pictures of Freedoom (BSD). Nothing of them is kept but
what a model learns. A film that is there is not rendered again.
"""

from __future__ import annotations

import random
import re
from collections.abc import Generator
from contextlib import chdir, closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data.video_writing import write_video
from starter.command import run

Game = Literal["freedoom1", "freedoom2"]
"""Phase 1 or 2 of Freedoom."""
MAPS: dict[Game, str] = {"freedoom1": "E[1-4]M[1-9]", "freedoom2": "MAP(0[1-9]|[12][0-9]|3[0-2])"}
"""Patterns of the names of their maps."""
NAMED: dict[Game, str] = {"freedoom1": "E1M1 to E4M9", "freedoom2": "MAP01 to MAP32"}
"""The same for people."""
FPS = 35
"""Frames per second of the engine."""
OPEN = 24.0
"""Grey level of depth under which a wall is so near that the walk turns away."""
LOOSE = 3.0
"""Map units that a walk must come forward within a frame, or it counts as stuck."""
PATIENCE = 6
"""Frames for which a walk that is stuck goes on before it turns."""
TURNING = 18
"""Frames for which it turns then, before it tries to go on."""
WARM_UP_SECONDS = 20.0
"""Seconds that a walk goes on before each further film of a map, so that films begin in other places."""


@dataclass(frozen=True)
class Options:
    """Which films to render."""

    out: Path
    """Folder of the films, <game>_<map>_<number>.mp4."""
    game: Game = "freedoom2"
    """Game whose maps these are."""
    maps: tuple[str, ...] = ("MAP01",)
    """Maps: MAP01 to MAP32 of freedoom2, E1M1 to E4M9 of freedoom1."""
    films: int = 1
    """Films of each map."""
    seconds: float = 15.0
    """Length of a film."""
    every: int = 1
    """Frames of the engine for one of a film: at 4 a film has 8.75 a second, and is written four times as fast."""
    seed: int = 0
    """Seed of the walks."""


def render_films(options: Options) -> list[Path]:
    """Render the films that are not there yet, and return the paths of all.

    Raises:
        SystemExit: vizdoom is not installed.
        ValueError: the game has no such map.
    """
    for name in options.maps:
        if not re.fullmatch(MAPS[options.game], name):
            raise ValueError(f"{options.game} has no map {name!r}: it has {NAMED[options.game]}")
    options.out.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for name in options.maps:
        films = [options.out / f"{options.game}_{name}_{number}.mp4" for number in range(options.films)]
        if not all(film.exists() for film in films):
            with closing(_walks(options, name)) as walks:
                for film, clip in zip(films, walks, strict=False):
                    write_video(film, clip, FPS / options.every)
        paths += films
    return paths


def _walks(options: Options, name: str) -> Generator[Tensor, None, None]:
    """Yield a clip (3, T, 240, 320) in [-1, 1] for each film of a map."""
    with TemporaryDirectory() as folder:
        game = _start(options, name, Path(folder))
        try:
            walk = Walk(game, random.Random(f"{options.seed} {options.game} {name}"))
            for number in range(options.films):
                for _ in range(round(WARM_UP_SECONDS * FPS) if number else 0):
                    walk.step()
                frames = [walk.step() for _ in range(round(options.seconds * FPS))]
                yield torch.from_numpy(np.stack(frames[:: options.every])).permute(3, 0, 1, 2).float() / 127.5 - 1
        finally:
            game.close()


class Walk:
    """Somebody who goes on where it is open, turns away from walls, opens doors and looks around.

    Args:
        game: that runs.
        chance: what decides where it is looked.
    """

    def __init__(self, game: Any, chance: random.Random) -> None:
        self.game = game
        self.chance = chance
        self.turn = 0.0
        self.side = 0.0
        self.stuck = 0
        self.place = (0.0, 0.0)

    def step(self) -> NDArray[np.uint8]:
        """Take a step of a 35th of a second and return what is seen: (240, 320, 3)."""
        state = self.game.get_state()
        self._decide(state.depth_buffer, state.game_variables)
        forward = 18.0 if not self.side else 4.0
        use = 1.0 if self.stuck % 12 == 5 else 0.0
        self.game.make_action([forward, self.turn, use])
        if self.game.is_episode_finished():
            self.game.new_episode()
        return np.ascontiguousarray(state.screen_buffer)

    def _decide(self, depth: NDArray[np.uint8], place: NDArray[np.float64]) -> None:
        """Choose how fast to turn, in degrees a frame, from the depth (240, 320) of what is ahead."""
        x, y = float(place[0]), float(place[1])
        moved = abs(x - self.place[0]) + abs(y - self.place[1])
        self.place = (x, y)
        self.stuck = 0 if moved > LOOSE or self.stuck > PATIENCE + TURNING else self.stuck + 1
        ahead = depth[100:140]
        left, middle, right = (float(part.mean()) for part in np.array_split(ahead, 3, axis=1))
        blocked = middle < OPEN or self.stuck > PATIENCE
        if not blocked:
            self.side = 0.0
        elif not self.side:
            self.side = 1.0 if right >= left else -1.0
        # The side is kept until it is open: in a corner the better one changes with every step.
        wanted = self.side * 8.0 if blocked else 0.06 * (right - left)
        self.turn = 0.8 * self.turn + 0.2 * (wanted + self.chance.gauss(0, 1.5))


def _start(options: Options, map_name: str, folder: Path) -> Any:
    """Return a running game without enemies, seen from the eyes alone; the engine keeps its settings in a folder."""
    try:
        import vizdoom
    except ImportError as error:
        raise SystemExit(
            "first-person films need a package: pip install '.[starter]' in the folder of Secondsight's source"
        ) from error
    game = vizdoom.DoomGame()
    game.set_doom_game_path(str(Path(vizdoom.__file__).parent / f"{options.game}.wad"))
    game.set_doom_config_path(str(folder / "engine.ini"))
    game.set_doom_map(map_name)
    game.set_screen_resolution(vizdoom.ScreenResolution.RES_320X240)
    game.set_screen_format(vizdoom.ScreenFormat.RGB24)
    game.set_depth_buffer_enabled(True)
    game.set_render_hud(False)
    game.set_render_weapon(False)
    game.set_render_crosshair(False)
    game.set_render_messages(False)
    game.set_render_screen_flashes(False)
    game.set_available_buttons(
        [vizdoom.Button.MOVE_FORWARD_BACKWARD_DELTA, vizdoom.Button.TURN_LEFT_RIGHT_DELTA, vizdoom.Button.USE]
    )
    game.set_available_game_variables([vizdoom.GameVariable.POSITION_X, vizdoom.GameVariable.POSITION_Y])
    game.add_game_args("-nomonsters +sv_cheats 1")
    game.set_window_visible(False)
    game.set_sound_enabled(False)
    game.set_episode_timeout(0)
    game.set_seed(options.seed)
    with chdir(folder):  # the engine makes a folder where it is started
        game.init()
    game.send_game_command("god")
    return game


if __name__ == "__main__":
    run("first_person", render_films, Options, __doc__)
