#include "base/failpoint.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void failpoint(const char *a, const char *b, const char *c)
{
    char name[128];
    const char *wanted = getenv("HBCLOUD_FAILPOINT");
    if (!wanted || !*wanted)
        return;
    (void)snprintf(name, sizeof name, "%s:%s:%s", a, b, c);
    if (strcmp(name, wanted) == 0)
        (void)kill(getpid(), SIGKILL);
}
