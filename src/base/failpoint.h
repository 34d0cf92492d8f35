/* Named points at which a test lets the process die, as a power cut would: when the environment variable
 * HBCLOUD_FAILPOINT holds the point's name, the process kills itself there (SIGKILL). Without the variable a point
 * is one comparison. Thread-safe. */
#ifndef HB_FAILPOINT_H
#define HB_FAILPOINT_H

#include "base/base.h"

/* The name is `a`:`b`:`c`, such as "switch:begin:before". */
void failpoint(const char *a, const char *b, const char *c);

#endif
