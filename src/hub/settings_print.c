/* What the table says of itself: the contract's Config, and .env.example. */
#include "base/str.h"
#include "hub/settings_internal.h"

#include <string.h>

#define MASK "\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2" /* four bullets */

static void write_list(struct jw *w, const char *text)
{
    jw_array(w);
    for (const char *part = text; *part;) {
        size_t len = strcspn(part, ",");
        jw_string_n(w, part, len);
        part += len + (part[len] == ',');
    }
    jw_end(w);
}

static void write_value(struct jw *w, const struct setting_row *row, const struct setting_value *v)
{
    if (v->secret)
        jw_string(w, MASK);
    else if (!v->text)
        jw_null(w);
    else if (row->type == SETTING_INT)
        jw_int(w, v->number);
    else if (row->type == SETTING_BOOL)
        jw_bool(w, v->number != 0);
    else if (row->type == SETTING_LIST)
        write_list(w, v->text);
    else
        jw_string(w, v->text);
}

void settings_write_json(const struct settings *s, struct jw *w)
{
    jw_object(w);
    jw_key(w, "settings");
    jw_array(w);
    for (size_t i = 0; i < settings_table_len; i++) {
        const struct setting_row *row = &settings_table[i];
        char name[SETTING_ENV_MAX];
        settings_row_env(row, name);
        jw_object(w);
        jw_key(w, "key"), jw_string(w, row->key);
        jw_key(w, "env"), jw_string(w, name);
        jw_key(w, "value"), write_value(w, row, &s->values[i]);
        jw_key(w, "source"), jw_string(w, settings_source(s, row->key));
        jw_key(w, "secret"), jw_bool(w, row->type == SETTING_SECRET);
        jw_key(w, "description"), jw_string(w, row->description);
        jw_end(w);
    }
    jw_end(w);
    jw_end(w);
}

static void print_row(FILE *out, const struct setting_row *row)
{
    char name[SETTING_ENV_MAX];
    settings_row_env(row, name);
    (void)fprintf(out, "\n# %s: %s", row->key, row->description);
    if (row->alias)
        (void)fprintf(out, " Also taken as %s.", row->alias);
    if (row->type == SETTING_SECRET)
        (void)fprintf(out, " Also as a file: %s_FILE.", name);
    (void)fprintf(out, "\n#%s=%s\n", name, row->fallback ? row->fallback : row->placeholder ? row->placeholder : "");
}

void settings_env_example(FILE *out)
{
    (void)fputs(
        "# Every setting of the hub, with its default. Made by `hbcloud config env-example`; do not edit.\n"
        "#\n"
        "# Each may also stand in the YAML file by its key (`hbcloud serve --config FILE`). What is said later wins:\n"
        "# default, YAML file, systemd credential, environment, flag. `hbcloud config show` tells what is in force.\n"
        "# Each key is also taken as HBCLOUD_ and the key in capitals: datadog.api_key as HBCLOUD_DATADOG_API_KEY.\n"
        "# An empty variable counts as not set. HBCLOUD_CONFIG names the YAML file where --config does not.\n",
        out);
    const char *group = "";
    for (size_t i = 0; i < settings_table_len; i++) {
        const struct setting_row *row = &settings_table[i];
        if (!str_eq(group, row->group))
            (void)fprintf(out, "\n# ---- %s\n", row->group);
        group = row->group;
        print_row(out, row);
    }
}
