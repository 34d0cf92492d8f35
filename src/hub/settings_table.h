/* The rows of the settings table. Private to the settings and their tests.
 * A key's environment name is HBCLOUD_ and the key in capitals with `_` for `.`; `env` names another that is
 * honoured as it is and shown, `alias` a further one. Thread-safe: constants. */
#ifndef HB_HUB_SETTINGS_TABLE_H
#define HB_HUB_SETTINGS_TABLE_H

#include "base/base.h"

enum setting_type {
    SETTING_STRING,
    SETTING_INT,
    SETTING_BOOL,
    SETTING_DURATION, /* "10s", "5m"; a number alone is seconds */
    SETTING_BYTES,    /* "64KiB", "16MiB", "1GB" */
    SETTING_LIST,     /* a YAML list, or texts separated by commas */
    SETTING_URL,
    SETTING_SECRET, /* also by <ENV>_FILE and systemd credential */
};

struct setting_row {
    const char *key, *env, *alias;
    enum setting_type type;
    const char *fallback;    /* NULL: not set, or found at run time (data) */
    int64_t min, max;        /* of numbers, milliseconds, bytes; both 0: not bounded */
    const char *choices;     /* "a b c": one of these; NULL */
    const char *flag;        /* "listen" for --listen; NULL: only by --set */
    const char *placeholder; /* of the flag's or example's value */
    const char *group, *description;
};

extern const struct setting_row settings_table[];
extern const size_t settings_table_len;

#define SETTING_ENV_MAX 96
const struct setting_row *settings_row(const char *key);      /* NULL: none */
const struct setting_row *settings_row_by_flag(const char *flag);
void settings_row_env(const struct setting_row *row, char ret[SETTING_ENV_MAX]); /* the name that is shown */
void settings_row_own_env(const struct setting_row *row, char ret[SETTING_ENV_MAX]); /* HBCLOUD_… */

#endif
