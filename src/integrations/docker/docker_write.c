#include "integrations/docker/docker_write.h"

#include "base/secret.h"
#include "base/str.h"

#define NS_PER_MS 1000000

void docker_write_text(struct jw *w, const char *key, const char *text)
{
    if (!text)
        return;
    jw_key(w, key);
    jw_string(w, text);
}

void docker_write_flag(struct jw *w, const char *key, bool value)
{
    if (!value)
        return;
    jw_key(w, key);
    jw_bool(w, true);
}

void docker_write_list(struct jw *w, const char *key, const char **texts, const char *first)
{
    if (!texts)
        return;
    jw_key(w, key);
    jw_array(w);
    if (first)
        jw_string(w, first);
    for (; *texts; texts++)
        jw_string(w, *texts);
    jw_end(w);
}

void docker_write_environment(struct jw *w, const json_t *environment)
{
    const char *key;
    json_t *value;
    jw_key(w, "Env");
    jw_array(w);
    json_object_foreach ((json_t *)environment, key, value) {
        char *pair = str_printf("%s=%s", key, json_string_value(value));
        if (!pair)
            w->out->failed = true;
        jw_string(w, pair);
        if (pair)
            secret_wipe(pair, strlen(pair));
        free(pair);
    }
    jw_end(w);
}

void docker_write_mounts(struct jw *w, const struct engine_spec *s)
{
    jw_key(w, "Mounts");
    jw_array(w);
    for (size_t i = 0; i < s->mount_count; i++) {
        const struct engine_mount *m = &s->mounts[i];
        jw_object(w);
        jw_key(w, "Type");
        jw_string(w, m->kind);
        if (!str_eq(m->kind, "tmpfs")) {
            jw_key(w, "Source");
            jw_string(w, m->source);
        }
        jw_key(w, "Target");
        jw_string(w, m->target);
        jw_key(w, "ReadOnly");
        jw_bool(w, m->readonly);
        jw_end(w);
    }
    jw_end(w);
}

static void write_time(struct jw *w, const char *key, int64_t ms)
{
    if (ms > 0 && ms <= INT64_MAX / NS_PER_MS) {
        jw_key(w, key);
        jw_int(w, ms * NS_PER_MS);
    }
}

void docker_write_health(struct jw *w, const struct engine_spec *s)
{
    if (!s->health_command && !s->health_interval_ms && !s->health_timeout_ms && !s->health_start_ms &&
        !s->health_retries)
        return;
    jw_key(w, "Healthcheck"); /* without Test: the image's own command with these times */
    jw_object(w);
    docker_write_list(w, "Test", s->health_command, "CMD");
    write_time(w, "Interval", s->health_interval_ms);
    write_time(w, "Timeout", s->health_timeout_ms);
    write_time(w, "StartPeriod", s->health_start_ms);
    if (s->health_retries) {
        jw_key(w, "Retries");
        jw_int(w, s->health_retries);
    }
    jw_end(w);
}
