// The files of this module replace this line.
