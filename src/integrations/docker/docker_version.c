#include "integrations/docker/docker_version.h"

#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

int docker_version_parse(const char *text, int *ret)
{
    int parts[2] = { 0, 0 };
    const char *c = text ? text : "";
    for (int i = 0; i < 2; i++) {
        if (!isdigit((unsigned char)*c))
            return -EINVAL;
        for (; isdigit((unsigned char)*c); c++)
            if ((parts[i] = parts[i] * 10 + (*c - '0')) > 999)
                return -EINVAL;
        if (i == 0 && *c++ != '.')
            return -EINVAL;
    }
    if (*c)
        return -EINVAL;
    *ret = parts[0] * 1000 + parts[1];
    return 0;
}

char *docker_version_format(int version, char ret[16])
{
    snprintf(ret, 16, "%d.%d", version / 1000 % 1000, version % 1000);
    return ret;
}

int docker_version_agree(int min, int max, int *ret, struct error *e)
{
    int newest = max < DOCKER_API_NEWEST ? max : DOCKER_API_NEWEST;
    int oldest = min > DOCKER_API_OLDEST ? min : DOCKER_API_OLDEST;
    if (newest >= oldest) {
        *ret = newest;
        return 0;
    }
    char a[16], b[16], c[16], d[16];
    return error_set(e, ERR_UPSTREAM, "The container engine speaks API %s%s%s, hbcloud speaks %s to %s: %s is too old.",
                     min ? docker_version_format(min, a) : "at most ", min ? " to " : "", docker_version_format(max, b),
                     docker_version_format(DOCKER_API_OLDEST, c), docker_version_format(DOCKER_API_NEWEST, d),
                     max < DOCKER_API_OLDEST ? "the engine" : "hbcloud");
}

bool docker_version_refused(long status, const char *body)
{
    return status == 400 && strstr(body, "client version") && (strstr(body, "too old") || strstr(body, "too new"));
}
