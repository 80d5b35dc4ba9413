/*
 * Where this program lies, to find the others of the same installation.
 */
#ifndef KRAFTD_TOOLS_BESIDE_H
#define KRAFTD_TOOLS_BESIDE_H

/* The path of `name` in the folder of this program, in fresh memory. */
char *beside_path(const char *name);

#endif
