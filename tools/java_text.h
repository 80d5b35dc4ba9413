/*
 * Bytes shown as Java shows them: what is not UTF-8 becomes U+FFFD, with the same number of them as
 * Java's decoder puts there. Pure.
 */
#ifndef KRAFTD_TOOLS_JAVA_TEXT_H
#define KRAFTD_TOOLS_JAVA_TEXT_H

#include "common/base/buf.h"

/* Appends the text; null appends nothing. */
void java_text_append(struct bytebuf *out, struct bytes text);

#endif
