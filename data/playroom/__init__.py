"""The playroom: a rendered room with toys, as films of a toddler's head camera and as pictures of single toys."""
