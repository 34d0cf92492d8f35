/* What the files of the settings share. Private. */
#ifndef HB_HUB_SETTINGS_INTERNAL_H
#define HB_HUB_SETTINGS_INTERNAL_H

#include "hub/settings.h"
#include "hub/settings_table.h"

enum setting_source { SOURCE_DEFAULT, SOURCE_FILE, SOURCE_CREDENTIAL, SOURCE_ENV, SOURCE_FLAG };

struct setting_value {
    char *text;            /* NULL: not set, or a secret */
    struct secret *secret; /* of SETTING_SECRET */
    int64_t number;        /* of numbers, booleans, durations (ms), bytes */
    enum setting_source source;
};
#define SETTINGS_WARNINGS 8
struct settings {
    struct setting_value *values; /* one a row of the table, in its order */
    char *file;
    char *warnings[SETTINGS_WARNINGS];
};

/* Checks `text` against the row and keeps it; `origin` ("config.yaml:3", "HBCLOUD_LISTEN", "--listen") begins the
 * message of an error. The text of a secret is wiped by the caller. */
int settings_put(struct settings *s, const struct setting_row *row, const char *text, enum setting_source source,
                 const char *origin, struct error *e);
/* Reads the YAML file into the settings. */
int settings_read_file(struct settings *s, const char *path, struct error *e);

const char *settings_key_at(const void *unused, size_t i); /* for nearest_word */

#endif
