/* The dashboard: files with immutable caching, its page for every deep link, and a page that helps where the program
 * was built without it.
 * Ownership: the site borrows its files and must outlive the api's server. Thread-safe. */
#ifndef HB_HTTP_STATIC_H
#define HB_HTTP_STATIC_H

#include "http/api.h"
#include "http/embedded.h"

struct static_site;
/* `files` sorted by path; usually embedded_files, embedded_count. NULL: no memory. */
struct static_site *static_site_new(const struct embedded_file *files, size_t n);
void static_site_free(struct static_site *s);
/* Makes the api answer GET and HEAD of what the contract does not know, outside /v1, from the site. */
void static_site_attach(struct static_site *s, struct api *a);

#endif
