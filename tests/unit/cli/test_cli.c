/* The command line without a hub: parsing, help, completion, tables, widths, values, event streams, patches. */
#include "base/clock.h"
#include "cli/ci_call.h"
#include "cli/format.h"
#include "cli/service_file.h"
#include "cli/sse.h"
#include "cli/table.h"
#include "hub/settings_table.h"
#include "run_cli.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int setup(void **state)
{
    (void)state;
    (void)fresh_home();
    return 0;
}

/* ---- words */

static void usage_errors_end_2_and_say_what_was_meant(void **state)
{
    (void)state;
    static const struct {
        const char *words, *said;
    } cases[] = {
        { "", "which command?" },
        { "node list", "did you mean 'nodes'?" },
        { "nodes lst", "did you mean 'nodes list'?" },
        { "nodes", "nodes needs one of its commands" },
        { "nodes list --provder x", "did you mean --provider?" },
        { "nodes list --provider mars",
          "--provider must be one of: hetzner digitalocean azure local other; not 'mars'" },
        { "nodes list --provider", "--provider needs a value" },
        { "nodes list --json=1", "--json takes no value" },
        { "nodes list --json --json", "--json is given twice" },
        { "nodes list stray", "no argument is taken here" },
        { "nodes show", "NODE is missing" },
        { "nodes show a b", "one word too many: 'b'" },
        { "nodes add x --cpu many", "--cpu must be a number" },
        { "services logs x -q", "there is no option -q here" },
        { "services deploy --timeout never -f x", "--timeout must be a duration" },
        { "services deploy", "say --file FILE, or a NAME" },
        { "services deploy -f x --image y", "--image has no place beside it" },
        { "nodes label x room", "a label is KEY=VALUE" },
        { "nodes update x", "say what to change" },
        { "nodes remove x", "Without a terminal, say --yes" },
        { "completion tcsh", "SHELL must be one of: bash zsh fish" },
        { "--json nodes list", "a command comes first" },
        { "nodes list --url ftp://x", "is not an address of a hub" },
        { "nodes show \xff", "is not UTF-8" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ran r = run_cli(cases[i].words, NULL);
        if (r.status != CLI_USAGE || !strstr(r.err, cases[i].said))
            fail_msg("'%s' ended %d and said: %s", cases[i].words, r.status, r.err);
        assert_string_equal(r.out, "");
        ran_done(&r);
    }
}

static void every_command_has_help_that_names_each_of_its_options(void **state)
{
    (void)state;
    for (size_t i = 0; i < cli_commands_len; i++) {
        const struct cli_command *command = &cli_commands[i];
        const struct cli_option *all[COMMAND_ALL_OPTIONS];
        char name[64], words[80];
        if (command->flags & COMMAND_HIDDEN)
            continue;
        command_name(command, name);
        (void)snprintf(words, sizeof words, "%s --help", name);
        struct ran r = run_cli(words, NULL);
        assert_int_equal(r.status, CLI_OK);
        assert_non_null(strstr(r.out, command->summary));
        assert_non_null(strstr(r.out, "Usage: hbcloud "));
        size_t n = command_options(command, all);
        for (size_t o = 0; o < n; o++) {
            char option[64];
            (void)snprintf(option, sizeof option, "--%s", all[o]->name);
            if (!strstr(r.out, option))
                fail_msg("%s --help does not name %s", name, option);
        }
        ran_done(&r);
    }
}

static void the_table_is_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < cli_commands_len; i++) {
        const struct cli_command *command = &cli_commands[i];
        const struct cli_option *all[COMMAND_ALL_OPTIONS];
        size_t n = command_options(command, all);
        assert_ptr_equal(command_find(command->noun, command->verb), command);
        for (size_t o = 0; o < n; o++) {
            assert_true((all[o]->kind == WORD_CHOICE) == (all[o]->choices != NULL));
            assert_true(all[o]->help[strlen(all[o]->help) - 1] == '.');
            for (size_t p = 0; p < o; p++) {
                assert_string_not_equal(all[o]->name, all[p]->name);
                assert_true(!all[o]->letter || all[o]->letter != all[p]->letter);
            }
        }
    }
}

static void serve_has_the_flags_of_the_settings_and_no_other(void **state)
{
    (void)state;
    const struct cli_option *all[COMMAND_ALL_OPTIONS];
    size_t n = command_options(command_find("serve", NULL), all), settings = 0;
    for (size_t i = 0; i < settings_table_len; i++)
        settings += settings_table[i].flag != NULL;
    assert_int_equal(n, settings + 2); /* --config and --set */
    for (size_t i = 0; i < n; i++) {
        const struct setting_row *row = settings_row_by_flag(all[i]->name);
        if (!row)
            assert_true(str_eq(all[i]->name, "config") || str_eq(all[i]->name, "set"));
        else
            assert_true((row->type == SETTING_BOOL) == (all[i]->value == NULL));
    }
}

static void the_manual_and_markdown_name_every_command(void **state)
{
    (void)state;
    struct ran man = run_cli("man", NULL), markdown = run_cli("help --markdown", NULL);
    assert_int_equal(man.status, CLI_OK);
    assert_true(str_starts(man.out, ".TH HBCLOUD 1 "));
    for (size_t i = 0; i < cli_commands_len; i++) {
        char name[64], section[80], heading[80];
        if (cli_commands[i].flags & COMMAND_HIDDEN)
            continue;
        command_name(&cli_commands[i], name);
        (void)snprintf(heading, sizeof heading, "\n## %s\n", name);
        assert_non_null(strstr(markdown.out, heading));
        char *dash = strchr(name, '-'); /* roff writes \- */
        (void)snprintf(section, sizeof section, "\n.SS hbcloud %.*s", dash ? (int)(dash - name) : 60, name);
        assert_non_null(strstr(man.out, section));
    }
    /* A line that begins with a dot and no known request would vanish from the page. */
    static const char *const known[] = { ".TH ", ".SH ", ".SS ", ".TP", ".B ", ".I ", ".PP", ".nf", ".fi" };
    for (const char *line = man.out; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        bool request = *line != '.';
        for (size_t k = 0; k < ARRAY_LEN(known); k++)
            request = request || str_starts(line, known[k]);
        assert_true(request);
    }
    ran_done(&man);
    ran_done(&markdown);
}

static void the_kept_markdown_is_the_tables(void **state)
{
    (void)state;
    struct ran r = run_cli("help --markdown", NULL);
    char *kept = NULL;
    assert_int_equal(file_read(CLI_MARKDOWN, 1 << 20, &kept, NULL), 0);
    assert_string_equal(kept, r.out);
    free(kept);
    ran_done(&r);
}

static void completion_follows_the_table(void **state)
{
    (void)state;
    static const struct {
        const char *words, *has, *has_not;
    } cases[] = {
        { "__complete ser", "services\t", "nodes\t" },
        { "__complete __", "", "__complete" },
        { "__complete nodes l", "label\tSet and remove", "show\t" },
        { "__complete nodes list --pro", "--provider\tOnly nodes", "--type" },
        { "__complete nodes list --provider d", "digitalocean\t", "hetzner" },
        { "__complete nodes list --provider=x --json --st", "--status\t", "--provider" },
        { "__complete services deploy -f x", ":files\n", "-" },
        { "__complete completion z", "zsh\t", "bash" },
        { "__complete help nodes sh", "show\t", "add\t" },
        { "__complete serve --be", "--behind-proxy\t", "--url" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ran r = run_cli(cases[i].words, NULL);
        if (r.status != CLI_OK || !strstr(r.out, cases[i].has) || strstr(r.out, cases[i].has_not))
            fail_msg("'%s' gave: %s", cases[i].words, r.out);
        ran_done(&r);
    }
}

/* ---- the terminal */

static char *fitted(const char *text, size_t width, bool utf8, size_t *ret_width)
{
    struct buf out;
    buf_init(&out, 0);
    *ret_width = text_fit(&out, text, width, utf8);
    char *s = buf_steal(&out);
    assert_non_null(s);
    return s;
}

static void widths_are_columns_not_bytes(void **state)
{
    (void)state;
    assert_int_equal(text_width("abc"), 3);
    assert_int_equal(text_width("\xc3\xa4\xc3\xb6"), 2);                 /* ä ö */
    assert_int_equal(text_width("e\xcc\x81"), 1);                        /* e and a combining accent */
    assert_int_equal(text_width("\xe6\xbc\xa2\xe5\xad\x97"), 4);         /* two wide signs */
    assert_int_equal(text_width("\xf0\x9f\x9a\x80"), 2);                 /* an emoji */
    static const struct {
        const char *text;
        size_t width;
        bool utf8;
        const char *want;
        size_t used;
    } cases[] = {
        { "abcdef", 6, true, "abcdef", 6 },
        { "abcdef", 5, true, "abcd\xe2\x80\xa6", 5 },
        { "abcdef", 5, false, "abcd~", 5 },
        { "\xe6\xbc\xa2\xe5\xad\x97", 3, true, "\xe6\xbc\xa2\xe2\x80\xa6", 3 },
        { "\xe6\xbc\xa2\xe5\xad\x97", 2, true, "\xe2\x80\xa6", 1 },
        { "abc", 0, true, "", 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t used;
        _cleanup_free_ char *s = fitted(cases[i].text, cases[i].width, cases[i].utf8, &used);
        assert_string_equal(s, cases[i].want);
        assert_int_equal(used, cases[i].used);
    }
}

static void nothing_steers_the_terminal(void **state)
{
    (void)state;
    static const char *const wild[] = { "\033[2J",
                                        "a\rb",
                                        "a\nb",
                                        "\xc2\x9b"
                                        "2J",
                                        "\xe2\x80\xae"
                                        "x",
                                        "\x07",
                                        "\xff\xfe",
                                        "\xf0\x9f" };
    for (size_t i = 0; i < ARRAY_LEN(wild); i++) {
        _cleanup_buf_ struct buf out;
        buf_init(&out, 0);
        text_clean(&out, wild[i], false);
        assert_true(str_is_utf8(buf_str(&out), out.len));
        assert_null(strpbrk(buf_str(&out), "\033\r\n\a"));
        assert_null(strstr(buf_str(&out), "\xc2\x9b"));
        assert_null(strstr(buf_str(&out), "\xe2\x80\xae"));
        assert_non_null(strstr(buf_str(&out), "\xef\xbf\xbd"));
    }
}

static char *table_at(int width)
{
    static const struct table_column columns[] = {
        { .title = "NAME", .priority = 9, .min = 4 },
        { .title = "STATE", .priority = 8 },
        { .title = "N", .priority = 7, .right = true },
        { .title = "NOTE", .priority = 1, .min = 6 },
    };
    _cleanup_table_ struct table *t = text_table_new(columns, ARRAY_LEN(columns));
    assert_non_null(t);
    static const char *const cells[] = { "attic",  "active",  "4",  "a long remark about it",
                                         "cellar", "offline", "16", NULL };
    for (size_t i = 0; i < ARRAY_LEN(cells); i++)
        table_cell(t, STYLE_GOOD, cells[i]);
    struct term term = { .width = width };
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(table_print(t, &term, &out), 0);
    char *s = buf_steal(&out);
    assert_non_null(s);
    return s;
}

static void a_table_fits_and_shortens_the_least_important_first(void **state)
{
    (void)state;
    _cleanup_free_ char *whole = table_at(0), *some = table_at(36), *few = table_at(24), *one = table_at(5);
    assert_string_equal(whole, "NAME    STATE     N  NOTE\n"
                               "attic   active    4  a long remark about it\n"
                               "cellar  offline  16  -\n");
    assert_string_equal(some, "NAME    STATE     N  NOTE\n"
                              "attic   active    4  a long remark ~\n"
                              "cellar  offline  16  -\n");
    assert_string_equal(few, "NAME    STATE     N\n"
                             "attic   active    4\n"
                             "cellar  offline  16\n");
    assert_string_equal(one, "NAME\nattic\ncell~\n");
    for (int width = 1; width < 60; width++) {
        _cleanup_free_ char *s = table_at(width);
        for (const char *line = s; *line;) {
            size_t len = strcspn(line, "\n");
            assert_true(len <= (size_t)width);
            line += len + 1;
        }
    }
}

static void colour_is_only_for_terminals(void **state)
{
    (void)state;
    struct term plain = { 0 }, coloured = { .tty = true, .colour = true };
    _cleanup_buf_ struct buf a, b;
    buf_init(&a, 0);
    buf_init(&b, 0);
    term_style(&plain, &a, STYLE_BAD, "failed");
    term_style(&coloured, &b, STYLE_BAD, "failed");
    assert_string_equal(buf_str(&a), "failed");
    assert_string_equal(buf_str(&b), "\033[31mfailed\033[0m");
}

/* ---- values */

static int64_t noon(void *ctx UNUSED)
{
    return 1795608000000; /* 2026-11-25T12:00:00Z */
}

static void times_are_relative(void **state)
{
    (void)state;
    static const struct clock fixed = { noon, noon, NULL };
    static const struct {
        const char *at, *said;
    } cases[] = {
        { "2026-11-25T12:00:00Z", "now" },
        { "2026-11-25T11:59:30Z", "30 s ago" },
        { "2026-11-25T11:15:00Z", "45 min ago" },
        { "2026-11-24T12:00:00Z", "24 h ago" },
        { "2026-11-20T12:00:00Z", "5 d ago" },
        { "2026-11-27T13:00:00Z", "in 2 d" },
        { "yesterday", "-" },
        { NULL, "-" },
    };
    char text[FORMAT_MAX];
    int64_t ms;
    clock_set(&fixed);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(format_ago(cases[i].at, text), cases[i].said);
    assert_int_equal(parse_instant("2h", -1, &ms), 0);
    assert_int_equal(ms, noon(NULL) - 7200000);
    assert_int_equal(parse_instant("90d", 1, &ms), 0);
    assert_int_equal(ms, noon(NULL) + 90 * (int64_t)86400000);
    assert_int_equal(parse_instant("2026-11-25T12:00:00+01:00", -1, &ms), 0);
    assert_int_equal(ms, noon(NULL) - 3600000);
    assert_true(parse_instant("soon", 1, &ms) < 0);
    clock_set(NULL);
}

static void durations_and_numbers_are_short(void **state)
{
    (void)state;
    char text[FORMAT_MAX];
    assert_string_equal(format_duration(12, text), "12 ms");
    assert_string_equal(format_duration(3400, text), "3.4 s");
    assert_string_equal(format_duration(125000, text), "2 min 5 s");
    assert_string_equal(format_duration(12000000, text), "3 h 20 min");
    assert_string_equal(format_duration(-1, text), "-");
    assert_string_equal(format_number(16.5, text), "16.5");
    assert_string_equal(format_number(0.1234, text), "0.123");
    assert_string_equal(format_number(123456.7, text), "123457");
    static const struct {
        double percent;
        const char *said;
    } percents[] = { { 100, "100%" }, { 99.95, "99.95%" }, { 99.9999, "99.99%" }, { 0, "0%" }, { 12.5, "12.5%" } };
    for (size_t i = 0; i < ARRAY_LEN(percents); i++) {
        _cleanup_json_ json_t *v = json_real(percents[i].percent);
        assert_string_equal(format_percent(v, text), percents[i].said);
    }
}

static void a_sparkline_shows_shape_and_gaps(void **state)
{
    (void)state;
    static const double rising[] = { 0, 1, 2, 3, 4, 5, 6, 7 }, gap[] = { 0, NAN, 7 }, flat[] = { 5, 5 };
    _cleanup_buf_ struct buf a, b, c, d;
    buf_init(&a, 0), buf_init(&b, 0), buf_init(&c, 0), buf_init(&d, 0);
    format_sparkline(&a, rising, 8, 40, false);
    format_sparkline(&b, gap, 3, 40, false);
    format_sparkline(&c, flat, 2, 40, true);
    format_sparkline(&d, rising, 8, 4, true);
    assert_string_equal(buf_str(&a), "_.,:-=+#");
    assert_string_equal(buf_str(&b), "_ #");
    assert_int_equal(text_width(buf_str(&c)), 2);
    assert_int_equal(text_width(buf_str(&d)), 4);
    assert_true(str_starts(buf_str(&d), "\xe2\x96\x81"));
    assert_true(str_ends(buf_str(&d), "\xe2\x96\x88"));
}

/* ---- event streams */

static void collect(void *ctx, const struct sse_event *event)
{
    (void)buf_printf(ctx, "[%s|%s|%s]", event->id, event->type, event->data);
}

static void an_event_stream_reads_the_same_however_it_is_cut(void **state)
{
    (void)state;
    static const char stream[] = ": hello\n\nid: 1\nevent: node.created\ndata: {\"a\":\ndata:1}\n\nevent: ignored\n\n"
                                 "data: next\r\n\r\nid: 3\rdata:third\r\rdata: unfinished";
    static const char want[] = "[1|node.created|{\"a\":\n1}][1||next][3||third]";
    for (size_t cut = 1; cut < sizeof stream; cut++) {
        _cleanup_buf_ struct buf got;
        struct sse s;
        buf_init(&got, 0);
        sse_init(&s, collect, &got);
        for (size_t at = 0; at < sizeof stream - 1; at += cut) {
            size_t len = sizeof stream - 1 - at < cut ? sizeof stream - 1 - at : cut;
            assert_int_equal(sse_feed(&s, stream + at, len), 0);
        }
        assert_string_equal(buf_str(&got), want);
        assert_string_equal(s.id, "3");
        sse_done(&s);
    }
}

/* ---- services */

static json_t *parsed(const char *text)
{
    json_t *doc = json_loads(text, 0, NULL);
    assert_non_null(doc);
    return doc;
}

static void assert_patch(const char *document, const char *want)
{
    _cleanup_json_ json_t *d = parsed(document), *w = parsed(want);
    _cleanup_json_ json_t *patch = service_patch(d);
    assert_non_null(patch);
    if (!json_equal(patch, w)) {
        char *text = json_text(patch, NULL);
        fail_msg("the patch is %s", text ? text : "");
    }
}

static void a_patch_says_the_tag_it_means(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "\"image\":\"nginx\"", "\"image\":\"nginx\",\"tag\":\"latest\"" },
        { "\"image\":\"r.example:5000/a/b\"", "\"image\":\"r.example:5000/a/b\",\"tag\":\"latest\"" },
        { "\"image\":\"r.example:5000/a/b:1.2\"", "\"image\":\"r.example:5000/a/b:1.2\",\"tag\":\"1.2\"" },
        { "\"image\":\"a:1@sha256:00\"", "\"image\":\"a:1@sha256:00\",\"tag\":\"1\"" },
        { "\"image\":\"a@sha256:00\"", "\"image\":\"a@sha256:00\"" },
        { "\"image\":\"a\",\"tag\":\"3\"", "\"image\":\"a\",\"tag\":\"3\"" },
        { "\"tag\":\"3\"", "\"tag\":\"3\"" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char document[200], want[200];
        (void)snprintf(document, sizeof document, "{\"name\":\"x\",\"container\":{%s}}", cases[i][0]);
        (void)snprintf(want, sizeof want, "{\"container\":{%s}}", cases[i][1]);
        assert_patch(document, want);
    }
}

static void set_all(const char *const (*variables)[2], size_t n)
{
    static const char *const known[] = { "GITHUB_ACTIONS",  "GITHUB_REPOSITORY",    "GITHUB_SHA",
                                         "GITHUB_REF_NAME", "GITHUB_HEAD_REF",      "GITHUB_WORKFLOW",
                                         "GITHUB_RUN_ID",   "GITHUB_RUN_ATTEMPT",   "GITHUB_ACTOR",
                                         "TRAVIS",          "TRAVIS_REPO_SLUG",     "TRAVIS_COMMIT",
                                         "TRAVIS_BRANCH",   "TRAVIS_BUILD_ID",      "TRAVIS_JOB_ID",
                                         "TRAVIS_JOB_NAME", "TRAVIS_COMMIT_MESSAGE" };
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        (void)unsetenv(known[i]);
    for (size_t i = 0; i < n; i++)
        (void)setenv(variables[i][0], variables[i][1], 1);
}

static const char *const github[][2] = {
    { "GITHUB_ACTIONS", "true" },  { "GITHUB_REPOSITORY", "me/app" }, { "GITHUB_SHA", "abc" },
    { "GITHUB_REF_NAME", "main" }, { "GITHUB_WORKFLOW", "Deploy" },   { "GITHUB_RUN_ID", "77" },
    { "GITHUB_RUN_ATTEMPT", "2" }, { "GITHUB_ACTOR", "octo" },
};
static const char *const travis[][2] = {
    { "TRAVIS", "true" },
    { "TRAVIS_REPO_SLUG", "me/app" },
    { "TRAVIS_COMMIT", "def" },
    { "TRAVIS_BRANCH", "dev" },
    { "TRAVIS_BUILD_ID", "5" },
    { "TRAVIS_JOB_ID", "6" },
    { "TRAVIS_COMMIT_MESSAGE", "Fix it" },
};

static void ci_is_known_by_its_variables(void **state)
{
    (void)state;
    struct args none = { 0 };
    struct ci_call ci;
    set_all(NULL, 0);
    assert_false(ci_call_read(&none, &ci));
    set_all(github, ARRAY_LEN(github));
    assert_true(ci_call_read(&none, &ci));
    _cleanup_json_ json_t *document = parsed("{\"name\":\"web\"}");
    _cleanup_json_ json_t *want =
        parsed("{\"name\":\"web\",\"trigger\":\"github_actions\",\"pipeline\":\"Deploy\",\"initiatedBy\":\"octo\","
               "\"git\":{\"repository\":\"me/app\",\"branch\":\"main\",\"commit\":\"abc\"}}");
    ci_call_fill(&ci, document);
    assert_true(json_equal(document, want));
    set_all(travis, ARRAY_LEN(travis));
    assert_true(ci_call_read(&none, &ci));
    assert_string_equal(ci.trigger, "travis_ci");
    assert_string_equal(ci.message, "Fix it");
    set_all(NULL, 0);
}

static void a_key_is_the_same_for_the_same_run_and_no_other(void **state)
{
    (void)state;
    struct args none = { 0 };
    struct ci_call ci;
    char one[CI_KEY_MAX], same[CI_KEY_MAX], other[CI_KEY_MAX], longest[CI_KEY_MAX], name[600];
    set_all(github, ARRAY_LEN(github));
    assert_true(ci_call_read(&none, &ci));
    ci_call_key(&ci, "web", "r/app:1", one);
    ci_call_key(&ci, "web", "r/app:1", same);
    assert_string_equal(one, same);
    ci_call_key(&ci, "web", "r/app:2", other);
    assert_string_not_equal(one, other);
    (void)setenv("GITHUB_RUN_ATTEMPT", "3", 1);
    assert_true(ci_call_read(&none, &ci));
    ci_call_key(&ci, "web", "r/app:1", other);
    assert_string_not_equal(one, other);
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    ci_call_key(&ci, "web", name, longest);
    assert_true(strlen(longest) < CI_KEY_MAX && strspn(longest, " \t\n") == 0);
    set_all(NULL, 0);
}

#define CASE(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(usage_errors_end_2_and_say_what_was_meant),
        CASE(every_command_has_help_that_names_each_of_its_options),
        CASE(the_table_is_sound),
        CASE(serve_has_the_flags_of_the_settings_and_no_other),
        CASE(the_manual_and_markdown_name_every_command),
        CASE(the_kept_markdown_is_the_tables),
        CASE(completion_follows_the_table),
        CASE(widths_are_columns_not_bytes),
        CASE(nothing_steers_the_terminal),
        CASE(a_table_fits_and_shortens_the_least_important_first),
        CASE(colour_is_only_for_terminals),
        CASE(times_are_relative),
        CASE(durations_and_numbers_are_short),
        CASE(a_sparkline_shows_shape_and_gaps),
        CASE(an_event_stream_reads_the_same_however_it_is_cut),
        CASE(ci_is_known_by_its_variables),
        CASE(a_key_is_the_same_for_the_same_run_and_no_other),
        CASE(a_patch_says_the_tag_it_means),
    };
    return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
