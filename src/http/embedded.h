/* What is carried inside the binary: the contract and the files of the built dashboard. Made by tools/embed.py at
 * build time; read-only, mapped from the binary, so it costs memory only where it is read. */
#ifndef HB_HTTP_EMBEDDED_H
#define HB_HTTP_EMBEDDED_H

#include <stddef.h>

struct embedded_file {
    const char *path; /* "assets/index-1a2b.js" */
    const char *type, *etag;
    const char *bytes;
    size_t len;
    const char *gzip; /* the same, compressed; gzip_len 0: not kept */
    size_t gzip_len;
};
extern const struct embedded_file embedded_files[]; /* sorted by path; none: built without the dashboard */
extern const size_t embedded_count;
extern const char *const embedded_contract; /* NUL-terminated YAML */
extern const size_t embedded_contract_len;

#endif
