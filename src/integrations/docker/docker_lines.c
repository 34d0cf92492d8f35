#include "integrations/docker/docker_lines.h"

#include "base/json.h"

#include <errno.h>
#include <string.h>

void docker_lines_init(struct docker_lines *l, docker_line_fn fn, void *ctx)
{
    buf_init(&l->part, DOCKER_LINE_MAX);
    l->fn = fn;
    l->ctx = ctx;
}

void docker_lines_done(struct docker_lines *l)
{
    buf_done(&l->part);
}

int docker_lines_end(struct docker_lines *l)
{
    _cleanup_json_ json_t *line = NULL;
    const char *text = buf_str(&l->part);
    if (text[strspn(text, " \t\r")] == '\0') {
        buf_clear(&l->part);
        return 0;
    }
    if (json_parse(text, l->part.len, &line, NULL) < 0 || !json_is_object(line))
        return -EPROTO;
    buf_clear(&l->part);
    return l->fn(l->ctx, line);
}

int docker_lines_feed(struct docker_lines *l, const char *bytes, size_t len)
{
    while (len) {
        const char *end = memchr(bytes, '\n', len);
        size_t n = end ? (size_t)(end - bytes) : len;
        int r = buf_append(&l->part, bytes, n);
        if (r == 0 && end)
            r = docker_lines_end(l);
        if (r < 0)
            return r;
        n += end != NULL;
        bytes += n;
        len -= n;
    }
    return 0;
}
