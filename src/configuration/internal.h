/* What the files of configuration share. Internal to the room. */
#ifndef HB_CONFIGURATION_INTERNAL_H
#define HB_CONFIGURATION_INTERNAL_H

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "configuration/secrets.h"

struct secrets {
    struct store *store;
    struct vault *vault;
    struct events *events; /* may be NULL */
};

/* secrets.c: the document of one secret, without any value. ERR_NOT_FOUND. */
int secrets_write(struct secrets *s, const char *name, struct jw *w, struct error *e);
/* Names after `after` (NULL: from the start), at most `limit`; `ret` has room for limit + 1. */
typedef char secret_name[SECRET_NAME_MAX + 1];
int secrets_names(struct secrets *s, const char *after, size_t limit, secret_name *ret, size_t *ret_n, struct error *e);

/* registries.c */
/* Lower case, without scheme, path and default port; one name for the hub of images that has many. ERR_VALIDATION. */
int registry_host(const char *given, char ret[256], struct error *e);
int registry_set(struct secrets *s, const char *host, const char *username, const struct secret *password,
                 const char *by, struct error *e);
int registry_forget(struct secrets *s, const char *host, struct error *e); /* ERR_NOT_FOUND */
int registry_write(struct secrets *s, const char *host, struct jw *w, struct error *e); /* ERR_NOT_FOUND */
int registries_write(struct secrets *s, struct jw *w, struct error *e);                 /* an array of all */
/* registry_check.c: does the registry take this login? ERR_VALIDATION: no. ERR_UNAVAILABLE, ERR_UPSTREAM…: not known. */
int registry_check(const struct registry_login *login, struct error *e);

#endif
