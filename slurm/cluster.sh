# shellcheck shell=bash
# What run.sbatch and train.sbatch share: they source it. What a site needs otherwise is exported before `sbatch`:
#     SECONDSIGHT_BIN          folder of the programs secondsight and accelerate; by default .venv/bin
#     SECONDSIGHT_CONTAINER    words before them, such as "singularity exec torch.sif"; by default none
#     SECONDSIGHT_GPU          cuda, rocm or none; by default what the node has
#     SECONDSIGHT_NET_PLUGIN   folder of the plugin by which NCCL or RCCL speaks libfabric (libnccl-net.so and the like)
#     SECONDSIGHT_SCRATCH      folder on the node's own disk for caches of compiled kernels; by default TMPDIR or /tmp
# Variables of NCCL, gloo, libfabric and MIOpen that are set already stay as they are.
# Jobs of a sweep or study do in their own words what name_job and wait_or_requeue do (experiments/job.sbatch.j2), since
# they run from folders without this file, too: what changes in one changes in the other.

# shellcheck disable=SC2034             # used where this is sourced
BIN=${SECONDSIGHT_BIN:-.venv/bin}
# shellcheck disable=SC2034
read -ra container <<<"${SECONDSIGHT_CONTAINER:-}"
# Commands that are continued with --resume auto. All others go on by themselves, or are short.
RESUMED=" gpt-train vqgan-train vqgan-encode data-prepare memory-run memory-observe memory-continuous diversity-run physics-run complete "

fail() {
    echo "slurm: $1" >&2
    exit 2
}

# Put the words of a command into the array `words`, with what lets it go on when the job runs again.
name_command() {
    local name=${1:-} word
    [[ -n $name ]] || fail "which command? Such as: sbatch slurm/run.sbatch memory run --stimuli LIST --out RUN"
    [[ $name = complete ]] || name=$1-${2:-}
    words=("$@")
    for word in "$@"; do
        case $word in
            --overwrite) fail "--overwrite would begin anew whenever the job runs again: remove the folder instead" ;;
            --resume | --resume=*) return ;;
        esac
    done
    [[ $RESUMED != *" $name "* ]] || words+=(--resume auto)
}

# Print what Slurm calls this job, and no other: a bare number may be that of an array, and then means all of its tasks.
name_job() {
    if [[ -n ${SLURM_ARRAY_JOB_ID:-} ]]; then
        echo "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
    else
        echo "$SLURM_JOB_ID"
    fi
}

# Print what computes: cuda, rocm or none.
gpu_kind() {
    if [[ -n ${SECONDSIGHT_GPU:-} ]]; then
        [[ " cuda rocm none " = *" $SECONDSIGHT_GPU "* ]] || fail "SECONDSIGHT_GPU=$SECONDSIGHT_GPU: cuda, rocm or none"
        echo "$SECONDSIGHT_GPU"
    elif command -v nvidia-smi >/dev/null; then
        echo cuda
    elif command -v rocm-smi >/dev/null || [[ -e /dev/kfd ]]; then
        echo rocm
    else
        echo none
    fi
}

# Set what processes on this node need; arguments are the names of all nodes.
set_up_node() {
    local kind scratch interface="not needed"
    kind=$(gpu_kind) || exit
    scratch=${SECONDSIGHT_SCRATCH:-${TMPDIR:-/tmp}}/secondsight-$(id -un)-$SLURM_JOB_ID
    # Compiled kernels: home folders on network file systems are slow, and their locks fail under many processes.
    export TORCHINDUCTOR_CACHE_DIR=${TORCHINDUCTOR_CACHE_DIR:-$scratch/inductor}
    export TRITON_CACHE_DIR=${TRITON_CACHE_DIR:-$scratch/triton}
    if [[ $kind = rocm ]]; then
        export MIOPEN_USER_DB_PATH=${MIOPEN_USER_DB_PATH:-$scratch/miopen}
        export MIOPEN_CUSTOM_CACHE_DIR=${MIOPEN_CUSTOM_CACHE_DIR:-$scratch/miopen}
        mkdir -p "$MIOPEN_USER_DB_PATH" "$MIOPEN_CUSTOM_CACHE_DIR"
        # HIP counts among the GPUs that ROCr leaves: two lists of the same numbers would leave none.
        [[ -z ${ROCR_VISIBLE_DEVICES:-} ]] || unset HIP_VISIBLE_DEVICES CUDA_VISIBLE_DEVICES
    fi
    if [[ $# -gt 1 ]]; then
        interface=$(find_interface "$@")
        [[ -z $interface ]] || set_up_network "$kind" "$interface"
    fi
    echo "slurm: $(hostname): $kind, interface ${interface:-not found: the libraries choose}" >&2
}

# Print the interface on the way to the other nodes: of Slingshot if there is one, or that of the route.
find_interface() {
    local host address slingshot
    if [[ -n ${GLOO_SOCKET_IFNAME:-} ]]; then
        echo "$GLOO_SOCKET_IFNAME"
        return
    fi
    command -v ip >/dev/null || return 0
    slingshot=$(ip -o link show | sed -n 's/^[0-9]*: \(hsn[0-9]*\)[:@].*/\1/p' | sort | head -n 1)
    if [[ -n $slingshot ]]; then
        echo "$slingshot"
        return
    fi
    for host in "$@"; do
        [[ $host != "${SLURMD_NODENAME:-$(hostname -s)}" ]] || continue
        address=$(getent ahostsv4 "$host" | awk 'NR == 1 { print $1 }')
        [[ -n $address ]] || continue
        ip -o route get "$address" | sed -n 's/.* dev \([^ ]*\).*/\1/p' | grep -vx lo || true
        return
    done
}

# Set what NCCL or RCCL, gloo and libfabric need; arguments are cuda or rocm, and the interface.
set_up_network() {
    export GLOO_SOCKET_IFNAME=$2
    if [[ $2 = hsn* ]]; then
        # Slingshot. The interfaces, the cache monitor and the length of queues are those of the documentation of CSCS
        # (Alps) and Isambard-AI on NCCL; safety for readers of data, which are forked, of LUMI's training material; and
        # FI_CXI_ATS of the README of aws-ofi-rccl, for the Cray EX.
        export NCCL_SOCKET_IFNAME=${NCCL_SOCKET_IFNAME:-hsn}
        export NCCL_NET_GDR_LEVEL=${NCCL_NET_GDR_LEVEL:-PHB}
        export FI_MR_CACHE_MONITOR=${FI_MR_CACHE_MONITOR:-userfaultfd}
        export FI_CXI_DEFAULT_CQ_SIZE=${FI_CXI_DEFAULT_CQ_SIZE:-131072}
        export FI_CXI_DISABLE_CQ_HUGETLB=${FI_CXI_DISABLE_CQ_HUGETLB:-1}
        export CXI_FORK_SAFE=${CXI_FORK_SAFE:-1}
        export CXI_FORK_SAFE_HP=${CXI_FORK_SAFE_HP:-1}
        [[ $1 != rocm ]] || export FI_CXI_ATS=${FI_CXI_ATS:-0}
    else
        export NCCL_SOCKET_IFNAME=${NCCL_SOCKET_IFNAME:-$2}
    fi
    if [[ -n ${SECONDSIGHT_NET_PLUGIN:-} ]]; then
        compgen -G "$SECONDSIGHT_NET_PLUGIN/lib*ccl-net*.so" >/dev/null ||
            fail "SECONDSIGHT_NET_PLUGIN=$SECONDSIGHT_NET_PLUGIN holds no libnccl-net.so or librccl-net.so"
        export LD_LIBRARY_PATH=$SECONDSIGHT_NET_PLUGIN${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
        # Named, so that a plugin that cannot be loaded is an error, and not sockets that are many times slower.
        export NCCL_NET=${NCCL_NET:-AWS Libfabric}
    fi
}

# Wait for the process that was started last, which the command in the arguments asks to end, and queue the job again if
# its time was up. Whoever has saved ends with 0, and so does who has finished: the signal decides, not the code.
wait_or_requeue() {
    local process=$! code=0
    asked=""
    ask=("$@")
    trap 'ask_to_end requeue' USR1
    trap 'ask_to_end stop' TERM
    wait "$process" || code=$?
    while kill -0 "$process" 2>/dev/null; do  # a signal ended the wait, while the process saves
        code=0
        wait "$process" || code=$?
    done
    case $asked in
        requeue) exec scontrol requeue "$(name_job)" ;;
        stop) exit 143 ;;                     # cancelled or preempted: what depends on this job must not begin
    esac
    exit "$code"
}

ask_to_end() {
    [[ -z $asked ]] || return 0               # once: who is asked twice does not wait to save
    asked=$1
    "${ask[@]}" || true
}
