/* The smallest server on libmicrohttpd: one document from memory, on one epoll thread.
 * It shows what the packaged library would give in place of the hub's own listener (decision record 2).
 *   mhd PORT FILE */
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static enum MHD_Result answer(void *ctx, struct MHD_Connection *c, const char *url, const char *method,
                              const char *version, const char *body, size_t *body_len, void **state)
{
    (void)url, (void)method, (void)version, (void)body, (void)body_len;
    static int seen;
    if (!*state) { /* the head alone; the library calls again */
        *state = &seen;
        return MHD_YES;
    }
    return MHD_queue_response(c, MHD_HTTP_OK, ctx);
}

static struct MHD_Response *document(const char *path)
{
    FILE *f = fopen(path, "rb");
    static char bytes[4 << 20];
    size_t n = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    if (f)
        (void)fclose(f);
    struct MHD_Response *r = n ? MHD_create_response_from_buffer(n, bytes, MHD_RESPMEM_PERSISTENT) : NULL;
    if (r)
        (void)MHD_add_response_header(r, "Content-Type", "application/json");
    return r;
}

int main(int argc, char **argv)
{
    struct MHD_Response *r = argc == 3 ? document(argv[2]) : NULL;
    if (!r) {
        (void)fprintf(stderr, "usage: mhd PORT FILE\n");
        return 2;
    }
    sigset_t end;
    int got;
    (void)sigemptyset(&end);
    (void)sigaddset(&end, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &end, NULL);
    struct MHD_Daemon *d =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TURBO, (uint16_t)atoi(argv[1]), NULL, NULL, answer, r,
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)16384, MHD_OPTION_END);
    if (!d) {
        (void)fprintf(stderr, "mhd: cannot listen on port %s\n", argv[1]);
        return 1;
    }
    (void)sigwait(&end, &got);
    MHD_stop_daemon(d);
    MHD_destroy_response(r);
    return 0;
}
