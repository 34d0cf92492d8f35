/* The hub's settings: one table, filled from defaults < YAML file < systemd credential < environment < flags.
 * A YAML file is --config FILE, else /etc/hbcloud/config.yaml, else ~/.config/hbcloud/hub.yaml where one is there.
 * Ownership: `settings_free` wipes and frees; getters borrow. Read-only after loading, so threads may share it.
 * Asking for a key that is not in the table, or by the getter of another type, is a bug and asserts. */
#ifndef HB_HUB_SETTINGS_H
#define HB_HUB_SETTINGS_H

#include "base/error.h"
#include "base/jsonw.h"
#include "base/secret.h"

#include <stdio.h>

struct settings;

/* `argv` holds what follows `serve`, without a program name. ERR_MALFORMED: a flag that does not exist or lacks
 * its value (usage, exit status 2); ERR_VALIDATION: a setting that cannot be, with file and line or the variable's
 * name; ERR_INTERNAL: a file that cannot be read. Messages never hold a secret's value. */
int settings_load(int argc, char **argv, struct settings **ret, struct error *e);
void settings_free(struct settings *s);
static inline void settings_free_ptr(struct settings **s)
{
    settings_free(*s);
}
#define _cleanup_settings_ _cleanup_(settings_free_ptr)

/* What holds between settings: an address other than loopback needs TLS or behind_proxy; a certificate needs its
 * key; DATA must be absolute or relative, never empty. ERR_VALIDATION with what to do. */
int settings_check(const struct settings *s, struct error *e);

bool settings_has(const struct settings *s, const char *key);         /* set to something, or has a default */
const char *settings_str(const struct settings *s, const char *key);  /* string, url, list ("a,b"); NULL: not set */
int64_t settings_int(const struct settings *s, const char *key);      /* whole numbers, and bytes */
int64_t settings_ms(const struct settings *s, const char *key);       /* durations, in milliseconds */
bool settings_bool(const struct settings *s, const char *key);
const struct secret *settings_secret(const struct settings *s, const char *key); /* NULL: not set */
const char *settings_source(const struct settings *s, const char *key); /* "default" "file" "credential" "env" "flag" */
const char *settings_file(const struct settings *s); /* the YAML file that was read; NULL: none */
/* Variables that begin with HBCLOUD_ and are no setting: one sentence each, NULL after the last. */
const char *settings_warning(const struct settings *s, size_t i);

/* The contract's Config: {"settings": [{key, env, value, source, secret, description}]}, secrets masked. */
void settings_write_json(const struct settings *s, struct jw *w);
/* `.env.example`, from the table alone. */
void settings_env_example(FILE *out);

#endif
