/* Where the hub is and which key to use: options, environment, the saved login, an owner.key on this machine.
 * Ownership: the caller's struct; `discovered_done` wipes and frees. Threads: one. */
#ifndef HB_CLI_DISCOVER_H
#define HB_CLI_DISCOVER_H

#include "base/error.h"
#include "base/secret.h"
#include "cli/args.h"

#define DISCOVERED_KEYS_MAX 5
struct discovered {
    char *url;                                    /* without a slash at its end */
    bool loopback;                                /* it is this machine */
    struct secret *keys[DISCOVERED_KEYS_MAX];     /* to be tried in this order */
    char *origins[DISCOVERED_KEYS_MAX];           /* "HBCLOUD_API_KEY", a file's name */
    size_t n_keys;
};
/* ERR_MALFORMED: an address or key that cannot be; ERR_INTERNAL: a named file that cannot be read. */
int discover(const struct args *a, struct discovered *ret, struct error *e);
void discovered_done(struct discovered *d);

/* ~/.config/hbcloud/config.yaml; caller frees, NULL: no home. */
char *login_file(void);
/* "https://host/v1/" becomes "https://host"; NULL: not an http(s) address. Caller frees. */
char *normal_url(const char *text);
bool url_is_loopback(const char *url);

#endif
