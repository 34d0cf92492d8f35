/* The hub's settings: sources and their order, what is refused and how it is said, what is shown. */
#include "base/json.h"
#include "base/str.h"
#include "hub/settings.h"
#include "hub/settings_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char home[64];

/* Each case begins in a home of its own, without any variable of a setting. */
static int setup(void **state)
{
    (void)state;
    strcpy(home, "/tmp/hbcloud-settings-XXXXXX");
    assert_non_null(mkdtemp(home));
    (void)clearenv();
    (void)setenv("HOME", home, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    static const char *const names[] = { "/c.yaml", "/secret", "/datadog.api_key", "" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        _cleanup_free_ char *path = str_printf("%s%s", home, names[i]);
        (void)remove(path);
    }
    return 0;
}

static char *put_file(const char *name, const char *text, unsigned mode)
{
    char *path = str_printf("%s/%s", home, name);
    assert_non_null(path);
    assert_int_equal(file_write_atomic(path, text, strlen(text), mode), 0);
    return path;
}

static int load(struct settings **ret, struct error *e, const char *a, const char *b, const char *c, const char *d)
{
    char *argv[] = { (char *)a, (char *)b, (char *)c, (char *)d, NULL };
    int argc = 0;
    while (argv[argc])
        argc++;
    return settings_load(argc, argv, ret, e);
}

static int load_yaml(const char *yaml, struct settings **ret, struct error *e)
{
    _cleanup_free_ char *path = put_file("c.yaml", yaml, 0600);
    return load(ret, e, "--config", path, NULL, NULL);
}

static void defaults_hold_without_any_source(void **state)
{
    (void)state;
    _cleanup_settings_ struct settings *s = NULL;
    _cleanup_error_ struct error e = ERROR_INIT;
    assert_int_equal(load(&s, &e, NULL, NULL, NULL, NULL), 0);
    assert_string_equal(settings_str(s, "listen"), "127.0.0.1:3000");
    assert_int_equal(settings_int(s, "rate.anonymous"), 100);
    assert_int_equal(settings_int(s, "rate.known"), 6000);
    assert_int_equal(settings_ms(s, "metrics.interval"), 10000);
    assert_int_equal(settings_int(s, "http.header_bytes"), 16384);
    assert_false(settings_bool(s, "behind_proxy"));
    assert_null(settings_secret(s, "database.url"));
    assert_string_equal(settings_source(s, "listen"), "default");
    assert_int_equal(settings_check(s, &e), 0);
}

static void a_later_source_wins(void **state)
{
    (void)state;
    _cleanup_settings_ struct settings *s = NULL;
    _cleanup_error_ struct error e = ERROR_INIT;
    _cleanup_free_ char *path = put_file("c.yaml", "workers: 3\nlog:\n  level: warn\nlisten: 127.0.0.1:1\n", 0644);
    (void)setenv("HBCLOUD_LOG_LEVEL", "debug", 1);
    (void)setenv("HBCLOUD_LISTEN", "127.0.0.1:2", 1);
    assert_int_equal(load(&s, &e, "--listen=127.0.0.1:9", "--config", path, NULL), 0);
    assert_int_equal(settings_int(s, "workers"), 3);
    assert_string_equal(settings_source(s, "workers"), "file");
    assert_string_equal(settings_str(s, "log.level"), "debug");
    assert_string_equal(settings_source(s, "log.level"), "env");
    assert_string_equal(settings_str(s, "listen"), "127.0.0.1:9");
    assert_string_equal(settings_source(s, "listen"), "flag");
}

static void the_names_of_the_seed_and_of_vendors_are_honoured(void **state)
{
    (void)state;
    static const char *const names[] = { "DATABASE_URL",
                                         "REDIS_URL",
                                         "DOPPLER_TOKEN",
                                         "DATADOG_API_KEY",
                                         "DATADOG_APP_KEY",
                                         "NEW_RELIC_LICENSE_KEY",
                                         "SENTRY_DSN",
                                         "HONEYBADGER_API_KEY",
                                         "TAILSCALE_AUTHKEY",
                                         "CONSUL_HTTP_TOKEN",
                                         "AZURE_CLIENT_ID",
                                         "AZURE_CLIENT_SECRET",
                                         "AZURE_TENANT_ID",
                                         "BROWSERSTACK_USERNAME",
                                         "BROWSERSTACK_ACCESS_KEY",
                                         "LAMBDATEST_USERNAME",
                                         "LAMBDATEST_ACCESS_KEY",
                                         "DD_API_KEY",
                                         "CONSUL_HTTP_ADDR",
                                         "CF_API_TOKEN",
                                         "HCLOUD_TOKEN",
                                         "DIGITALOCEAN_TOKEN" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        (void)setenv(names[i], "canary-of-a-variable", 1);
        _cleanup_settings_ struct settings *s = NULL;
        _cleanup_error_ struct error e = ERROR_INIT;
        assert_int_equal(load(&s, &e, NULL, NULL, NULL, NULL), 0);
        size_t set = 0;
        for (size_t n = 0; n < settings_table_len; n++)
            set += str_eq(settings_source(s, settings_table[n].key), "env");
        if (set != 1)
            fail_msg("%s set %zu settings", names[i], set);
        (void)unsetenv(names[i]);
    }
}

static void an_empty_variable_counts_as_not_set(void **state)
{
    (void)state;
    _cleanup_settings_ struct settings *s = NULL;
    _cleanup_error_ struct error e = ERROR_INIT;
    (void)setenv("HBCLOUD_WORKERS", "", 1);
    assert_int_equal(load(&s, &e, NULL, NULL, NULL, NULL), 0);
    assert_string_equal(settings_source(s, "workers"), "default");
}

static void what_the_file_has_wrong_is_named_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *said;
    } cases[] = {
        { "listen: 127.0.0.1:1\nwrokers: 3\n", "c.yaml:2: 'wrokers' is not a setting; did you mean 'workers'?" },
        { "log:\n  levle: info\n", "c.yaml:2: 'log.levle' is not a setting; did you mean 'log.level'?" },
        { "\n\nworkers: many\n", "c.yaml:3: workers must be a whole number, not 'many'" },
        { "workers: 0\n", "c.yaml:1: workers must be between 1 and 256, not '0'" },
        { "metrics:\n  interval: soon\n", "c.yaml:2: metrics.interval must be a duration" },
        { "log: {level: loud}\n", "c.yaml:1: log.level must be one of: debug info warn error; not 'loud'" },
        { "metrics: 10s\n", "c.yaml:1: this is a group of settings" },
        { "workers: [1, 2]\n", "c.yaml:1: this setting takes one value, not a list" },
        { "workers: {a: 1}\n", "c.yaml:1: this setting takes one value, not a mapping" },
        { "workers: 1\nworkers: 2\n", "c.yaml: line 2, " },
        { "- workers\n", "c.yaml:1: settings are written as" },
        { "workers: 1\n---\nworkers: 2\n", "c.yaml: line " },
        { "workers: [1\n", "c.yaml: line " },
        { "http:\n  body_bytes: 16 stone\n", "c.yaml:2: http.body_bytes must be a size" },
        { "docker:\n  host: nowhere\n", "c.yaml:2: docker.host must be an address" },
        { "behind_proxy: perhaps\n", "c.yaml:1: behind_proxy must be true or false" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_settings_ struct settings *s = NULL;
        _cleanup_error_ struct error e = ERROR_INIT;
        assert_int_equal(load_yaml(cases[i].yaml, &s, &e), -ERR_VALIDATION);
        assert_null(s);
        if (!strstr(e.message, cases[i].said))
            fail_msg("'%s' should hold '%s'", e.message, cases[i].said);
    }
}

static void an_empty_file_and_null_values_leave_the_defaults(void **state)
{
    (void)state;
    static const char *const files[] = { "", "# nothing\n", "---\n", "workers:\nlog: ~\n", "workers: null\n" };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        _cleanup_settings_ struct settings *s = NULL;
        _cleanup_error_ struct error e = ERROR_INIT;
        if (load_yaml(files[i], &s, &e) < 0)
            fail_msg("'%s': %s", files[i], e.message);
        assert_string_equal(settings_source(s, "workers"), "default");
    }
}

static void lists_are_taken_both_ways(void **state)
{
    (void)state;
    _cleanup_settings_ struct settings *s = NULL, *t = NULL;
    _cleanup_error_ struct error e = ERROR_INIT;
    assert_int_equal(load_yaml("trusted_proxies: [10.0.0.0/8, '::1']\n", &s, &e), 0);
    assert_string_equal(settings_str(s, "trusted_proxies"), "10.0.0.0/8,::1");
    (void)setenv("HBCLOUD_TRUSTED_PROXIES", " 10.0.0.0/8 , ::1,", 1);
    assert_int_equal(load(&t, &e, NULL, NULL, NULL, NULL), 0);
    assert_string_equal(settings_str(t, "trusted_proxies"), "10.0.0.0/8,::1");
}

static void secrets_come_from_variables_files_and_credentials(void **state)
{
    (void)state;
    _cleanup_error_ struct error e = ERROR_INIT;
    _cleanup_free_ char *file = put_file("secret", "from-a-file\n", 0600);
    _cleanup_free_ char *credential = put_file("datadog.api_key", "from-systemd", 0600);
    {
        _cleanup_settings_ struct settings *s = NULL;
        (void)setenv("CREDENTIALS_DIRECTORY", home, 1);
        assert_int_equal(load(&s, &e, NULL, NULL, NULL, NULL), 0);
        assert_string_equal(settings_source(s, "datadog.api_key"), "credential");
        assert_true(secret_equals(settings_secret(s, "datadog.api_key"), "from-systemd", 12));
    }
    {
        _cleanup_settings_ struct settings *s = NULL;
        (void)setenv("DATADOG_API_KEY_FILE", file, 1);
        assert_int_equal(load(&s, &e, NULL, NULL, NULL, NULL), 0);
        assert_string_equal(settings_source(s, "datadog.api_key"), "env");
        assert_true(secret_equals(settings_secret(s, "datadog.api_key"), "from-a-file", 11));
    }
    _cleanup_settings_ struct settings *s = NULL;
    (void)setenv("DATADOG_API_KEY", "direct", 1);
    assert_int_equal(load(&s, &e, NULL, NULL, NULL, NULL), -ERR_VALIDATION);
    assert_non_null(strstr(e.message, "DATADOG_API_KEY_FILE are both set"));
}

static void a_secret_is_taken_neither_from_a_flag_nor_from_everyones_file(void **state)
{
    (void)state;
    _cleanup_settings_ struct settings *s = NULL;
    _cleanup_error_ struct error e = ERROR_INIT;
    assert_int_equal(load(&s, &e, "--set", "datadog.api_key=canary", NULL, NULL), -ERR_MALFORMED);
    assert_null(strstr(e.message, "canary"));
    assert_non_null(strstr(e.message, "DATADOG_API_KEY_FILE"));
    _cleanup_free_ char *path = put_file("c.yaml", "datadog: {api_key: canary}\n", 0644);
    assert_int_equal(load(&s, &e, "--config", path, NULL, NULL), -ERR_VALIDATION);
    assert_null(strstr(e.message, "canary"));
    assert_non_null(strstr(e.message, "chmod o-r"));
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(load(&s, &e, "--config", path, NULL, NULL), 0);
}

static void flags_that_do_not_exist_are_usage_errors(void **state)
{
    (void)state;
    static const char *const wrong[] = { "--lisen=1", "--data", "stray", "--", "--set=listen", "--set=lisen=1" };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        _cleanup_settings_ struct settings *s = NULL;
        _cleanup_error_ struct error e = ERROR_INIT;
        assert_int_equal(load(&s, &e, wrong[i], NULL, NULL, NULL), -ERR_MALFORMED);
    }
}

static void a_public_address_needs_tls_or_a_proxy(void **state)
{
    (void)state;
    static const struct {
        const char *listen, *more;
        bool fine;
    } cases[] = {
        { "--listen=127.0.0.1:3000", NULL, true },
        { "--listen=127.8.9.1:0", NULL, true },
        { "--listen=[::1]:3000", NULL, true },
        { "--listen=localhost:3000", NULL, true },
        { "--listen=0.0.0.0:3000", NULL, false },
        { "--listen=[::]:3000", NULL, false },
        { "--listen=192.168.1.2:3000", NULL, false },
        { "--listen=:3000", NULL, false },
        { "--listen=0.0.0.0:3000", "--behind-proxy", true },
        { "--listen=127.0.0.1", NULL, false },
        { "--listen=127.0.0.1:70000", NULL, false },
        { "--tls-key=k.pem", NULL, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_settings_ struct settings *s = NULL;
        _cleanup_error_ struct error e = ERROR_INIT;
        assert_int_equal(load(&s, &e, cases[i].listen, cases[i].more, NULL, NULL), 0);
        if ((settings_check(s, &e) == 0) != cases[i].fine)
            fail_msg("%s %s: %s", cases[i].listen, cases[i].more ? cases[i].more : "", e.message);
    }
    _cleanup_settings_ struct settings *s = NULL;
    _cleanup_error_ struct error e = ERROR_INIT;
    assert_int_equal(load(&s, &e, "--listen=0.0.0.0:1", "--tls-key=k", "--tls-certificate=c", NULL), 0);
    assert_int_equal(settings_check(s, &e), 0);
}

static void the_reply_masks_secrets_and_types_values(void **state)
{
    (void)state;
    _cleanup_settings_ struct settings *s = NULL;
    _cleanup_error_ struct error e = ERROR_INIT;
    (void)setenv("DATABASE_URL", "postgresql://user:canary@db/x", 1);
    assert_int_equal(load(&s, &e, "--behind-proxy", "--set=trusted_proxies=a,b", NULL, NULL), 0);
    _cleanup_buf_ struct buf out;
    buf_init(&out, 0);
    struct jw w;
    jw_init(&w, &out);
    settings_write_json(s, &w);
    assert_null(strstr(buf_str(&out), "canary"));
    _cleanup_json_ json_t *doc = NULL;
    assert_int_equal(json_parse(out.data, out.len, &doc, &e), 0);
    json_t *list = json_object_get(doc, "settings"), *row;
    size_t i, seen = 0;
    assert_int_equal(json_array_size(list), settings_table_len);
    json_array_foreach (list, i, row) {
        const char *key = json_str(row, "key");
        json_t *value = json_object_get(row, "value");
        if (str_eq(key, "database.url")) {
            assert_true(json_flag(row, "secret", false));
            assert_string_equal(json_str(row, "env"), "DATABASE_URL");
            assert_string_equal(json_string_value(value), "\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2");
            seen++;
        } else if (str_eq(key, "redis.url")) {
            assert_true(json_is_null(value)), seen++;
        } else if (str_eq(key, "behind_proxy")) {
            assert_true(json_is_true(value)), seen++;
        } else if (str_eq(key, "trusted_proxies")) {
            assert_int_equal(json_array_size(value), 2), seen++;
        } else if (str_eq(key, "workers")) {
            assert_int_equal(json_integer_value(value), 8), seen++;
        }
    }
    assert_int_equal(seen, 5);
}

static void a_mistyped_variable_of_ours_is_warned_of(void **state)
{
    (void)state;
    _cleanup_settings_ struct settings *s = NULL;
    _cleanup_error_ struct error e = ERROR_INIT;
    (void)setenv("HBCLOUD_LISTNE", "x", 1);
    (void)setenv("HBCLOUD_API_KEY", "x", 1);
    assert_int_equal(load(&s, &e, NULL, NULL, NULL, NULL), 0);
    assert_string_equal(settings_warning(s, 0), "HBCLOUD_LISTNE is set and is no setting of the hub");
    assert_null(settings_warning(s, 1));
}

static void keys_names_and_flags_are_unique(void **state)
{
    (void)state;
    for (size_t i = 0; i < settings_table_len; i++) {
        char env[SETTING_ENV_MAX];
        settings_row_env(&settings_table[i], env);
        assert_ptr_equal(settings_row(settings_table[i].key), &settings_table[i]);
        assert_true(strlen(settings_table[i].description) > 5);
        for (size_t j = 0; j < i; j++) {
            char other[SETTING_ENV_MAX];
            settings_row_env(&settings_table[j], other);
            assert_string_not_equal(env, other);
            assert_false(settings_table[i].flag && str_eq(settings_table[i].flag, settings_table[j].flag));
        }
    }
}

static void the_example_file_is_the_tables(void **state)
{
    (void)state;
    char *made = NULL, *kept = NULL;
    size_t len = 0, kept_len = 0;
    FILE *out = open_memstream(&made, &len);
    assert_non_null(out);
    settings_env_example(out);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(file_read(ENV_EXAMPLE, 1 << 20, &kept, &kept_len), 0);
    assert_string_equal(kept, made);
    free(made);
    free(kept);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(defaults_hold_without_any_source),
        CASE(a_later_source_wins),
        CASE(the_names_of_the_seed_and_of_vendors_are_honoured),
        CASE(an_empty_variable_counts_as_not_set),
        CASE(what_the_file_has_wrong_is_named_with_its_line),
        CASE(an_empty_file_and_null_values_leave_the_defaults),
        CASE(lists_are_taken_both_ways),
        CASE(secrets_come_from_variables_files_and_credentials),
        CASE(a_secret_is_taken_neither_from_a_flag_nor_from_everyones_file),
        CASE(flags_that_do_not_exist_are_usage_errors),
        CASE(a_public_address_needs_tls_or_a_proxy),
        CASE(the_reply_masks_secrets_and_types_values),
        CASE(a_mistyped_variable_of_ours_is_warned_of),
        CASE(keys_names_and_flags_are_unique),
        CASE(the_example_file_is_the_tables),
    };
    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
