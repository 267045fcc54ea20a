"""The playroom: a rendered room with toys, as videos of a toddler's head camera and as images of single toys."""
