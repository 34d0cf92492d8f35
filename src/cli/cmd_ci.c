/* hbcloud ci …: what CI services told, the rules that deploy by it, and what waits for a person. */
#include "cli/list.h"

#include <stdlib.h>
#include <string.h>

#define RUNS "/v1/ci/runs"
#define RULES "/v1/ci/rules"
#define APPROVALS "/v1/ci/approvals"
#define DELIVERIES "/v1/ci/deliveries"

static void short_commit(struct table *t, const json_t *x, const char *path)
{
    const char *commit = json_str(x, path);
    table_cellf(t, STYLE_DIM, "%.8s", commit ? commit : "-");
}

/* ---- runs */

static const struct table_column run_columns[] = {
    { .title = "RUN", .priority = 9, .min = 10 },
    { .title = "REPOSITORY", .priority = 7, .min = 12 },
    { .title = "BRANCH", .priority = 6, .min = 8 },
    { .title = "COMMIT", .priority = 4 },
    { .title = "STATE", .priority = 9 },
    { .title = "SERVICE", .priority = 5, .min = 8 },
    { .title = "BEGUN", .priority = 6 },
    { .title = "MESSAGE", .priority = 2, .min = 12 },
};

static void run_row(struct table *t, const json_t *x, const void *ctx UNUSED)
{
    char ago[FORMAT_MAX], message[80];
    const char *conclusion = json_str(x, "conclusion"), *state = conclusion ? conclusion : json_str(x, "status");
    const char *first = json_str(x, "commitMessage");
    str_copy(message, sizeof message, first ? first : "");
    message[strcspn(message, "\n")] = '\0';
    const char *name = json_str(x, "name") ? json_str(x, "name") : json_str(x, "id");
    long long number = (long long)json_int(x, "number", 0);
    if (number)
        table_cellf(t, STYLE_NONE, "%s #%lld", name, number);
    else
        table_cell(t, STYLE_NONE, name);
    table_cell(t, STYLE_NONE, json_str(x, "repository"));
    table_cell(t, STYLE_NONE, json_str(x, "branch"));
    short_commit(t, x, "commit");
    table_cell(t, style_of(state), state);
    table_cell(t, STYLE_NONE, json_str(x, "serviceName"));
    table_cell(t, STYLE_NONE, format_ago(json_str(x, "createdAt"), ago));
    table_cell(t, STYLE_DIM, message);
}

int cli_ci_runs(struct cli *c)
{
    static const struct list_view view = { .key = "runs",
                                           .columns = run_columns,
                                           .n_columns = ARRAY_LEN(run_columns),
                                           .row = run_row,
                                           .empty = "No CI service told of a run." };
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    (void)buf_puts(&path, RUNS);
    path_query_option(&path, &c->args, "repository", "repository");
    path_query_option(&path, &c->args, "branch", "branch");
    return list_show(c, &path, &view);
}

/* ---- deliveries */

static const struct table_column delivery_columns[] = {
    { .title = "DELIVERY", .priority = 5, .min = 8 },
    { .title = "FROM", .priority = 7 },
    { .title = "EVENT", .priority = 8 },
    { .title = "REPOSITORY", .priority = 6, .min = 12 },
    { .title = "BECAME", .priority = 9 },
    { .title = "CAME", .priority = 7 },
    { .title = "WHY", .priority = 4, .min = 12 },
};

static void delivery_row(struct table *t, const json_t *x, const void *ctx UNUSED)
{
    char ago[FORMAT_MAX];
    const char *verdict = json_str(x, "verdict");
    table_cell(t, STYLE_DIM, json_str(x, "id"));
    table_cell(t, STYLE_NONE, json_str(x, "source"));
    table_cell(t, STYLE_NONE, json_str(x, "event"));
    table_cell(t, STYLE_NONE, json_str(x, "repository"));
    table_cell(t, style_of(verdict), verdict);
    table_cell(t, STYLE_NONE, format_ago(json_str(x, "receivedAt"), ago));
    table_cell(t, STYLE_NONE, json_str(x, "reason"));
}

int cli_ci_deliveries(struct cli *c)
{
    static const struct list_view view = { .key = "deliveries",
                                           .columns = delivery_columns,
                                           .n_columns = ARRAY_LEN(delivery_columns),
                                           .row = delivery_row,
                                           .empty = "No CI service sent anything." };
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    (void)buf_puts(&path, DELIVERIES);
    path_query_option(&path, &c->args, "source", "source");
    path_query_option(&path, &c->args, "verdict", "verdict");
    return list_show(c, &path, &view);
}

/* ---- rules */

static const struct table_column rule_columns[] = {
    { .title = "RULE", .priority = 9 },
    { .title = "WHEN", .priority = 8, .min = 16 },
    { .title = "SERVICE", .priority = 8 },
    { .title = "ENVIRONMENT", .priority = 5 },
    { .title = "DEPLOYS", .priority = 7, .min = 12 },
    { .title = "APPROVAL", .priority = 4 },
    { .title = "GATES", .priority = 6, .min = 10 },
};

static void put_gates(struct buf *out, const json_t *gates)
{
    size_t i;
    json_t *x;
    json_array_foreach ((json_t *)gates, i, x) {
        const char *check = json_str(x, "check");
        (void)buf_printf(out, "%s%s", i ? ", " : "", check ? check : json_str(x, "figure"));
        if (json_at(x, "atLeast"))
            (void)buf_printf(out, " >= %g", json_num(x, "atLeast", 0));
        if (json_at(x, "atMost"))
            (void)buf_printf(out, " <= %g", json_num(x, "atMost", 0));
    }
}

static void rule_row(struct table *t, const json_t *x, const void *ctx UNUSED)
{
    const char *image = json_str(x, "match.image"), *branch = json_str(x, "match.branch");
    const char *workflow = json_str(x, "match.workflow"), *deploys = json_str(x, "image");
    _cleanup_buf_ struct buf gates;
    buf_init(&gates, 0);
    put_gates(&gates, json_at(x, "gates"));
    table_cell(t, STYLE_DIM, json_str(x, "id"));
    if (image)
        table_cellf(t, STYLE_NONE, "push of %s", image);
    else
        table_cellf(t, STYLE_NONE, "%s%s%s%s%s", json_str(x, "match.repository"), branch ? " @ " : "",
                    branch ? branch : "", workflow ? ", " : "", workflow ? workflow : "");
    table_cell(t, STYLE_BOLD, json_str(x, "service"));
    table_cell(t, STYLE_NONE, json_str(x, "environment"));
    table_cell(t, STYLE_NONE, image ? "the pushed image" : deploys ? deploys : "nothing, it is followed");
    table_cell(t, STYLE_NONE, json_str(x, "approval"));
    table_cell(t, STYLE_NONE, buf_str(&gates));
}

int cli_ci_rules(struct cli *c)
{
    static const struct list_view view = { .key = "rules",
                                           .columns = rule_columns,
                                           .n_columns = ARRAY_LEN(rule_columns),
                                           .row = rule_row,
                                           .empty = "There is no rule. Make one with hbcloud ci add-rule." };
    return list_show_all(c, RULES, &view);
}

/* "coverage=80" of each --at-least or --at-most; a figure that is named by both is one gate. */
static int put_bounds(struct cli *c, json_t *gates, const char *option, const char *key)
{
    size_t cursor = 0, i;
    const char *pair;
    while ((pair = args_each(&c->args, option, &cursor))) {
        const char *equals = strrchr(pair, '=');
        double value;
        json_t *gate, *found = NULL;
        if (!equals || equals == pair || str_to_double(equals + 1, &value) < 0)
            return cli_fail(c, CLI_USAGE, "--%s takes NAME=NUMBER, not '%s'", option, pair);
        _cleanup_free_ char *name = strndup(pair, (size_t)(equals - pair));
        json_array_foreach (gates, i, gate)
            if (str_eq(json_str(gate, "figure"), name))
                found = gate;
        if (!found && (found = json_pack("{s:s}", "figure", name)))
            (void)json_array_append_new(gates, found);
        (void)json_object_set_new(found, key, json_real(value));
    }
    return CLI_OK;
}

int cli_ci_add_rule(struct cli *c)
{
    size_t cursor = 0;
    const char *check;
    _cleanup_json_ json_t *body = json_pack("{s:{}, s:s}", "match", "service", args_word(&c->args, 0));
    json_t *gates = json_array();
    if (!body || !gates)
        return cli_fail(c, CLI_FAILED, "out of memory");
    put_text_option(c, body, "repository", "match.repository");
    put_text_option(c, body, "branch", "match.branch");
    put_text_option(c, body, "workflow", "match.workflow");
    put_text_option(c, body, "pushed-image", "match.image");
    put_text_option(c, body, "image", "image");
    put_text_option(c, body, "environment", "environment");
    put_number_option(c, body, "gate-timeout", "gateTimeout");
    if (args_has(&c->args, "approval"))
        (void)json_put(body, "approval", json_string("required"));
    (void)json_put(body, "gates", gates);
    while ((check = args_each(&c->args, "check", &cursor)))
        (void)json_array_append_new(gates, json_pack("{s:s}", "check", check));
    int r = put_bounds(c, gates, "at-least", "atLeast");
    if (r == CLI_OK)
        r = put_bounds(c, gates, "at-most", "atMost");
    if (r != CLI_OK)
        return r;
    struct api_request rq = { .method = "POST", .path = RULES, .body = body };
    return entity_write(c, &rq, "has a new rule.", args_word(&c->args, 0));
}

int cli_ci_remove_rule(struct cli *c)
{
    const char *id = args_word(&c->args, 0);
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, RULES "/", id, "");
    struct api_request rq = { .method = "DELETE", .path = buf_str(&path) };
    return entity_write(c, &rq, "is removed.", id);
}

/* ---- approvals */

static const struct table_column approval_columns[] = {
    { .title = "APPROVAL", .priority = 9 },
    { .title = "SERVICE", .priority = 8 },
    { .title = "IMAGE", .priority = 7, .min = 16 },
    { .title = "COMMIT", .priority = 4 },
    { .title = "STATE", .priority = 9 },
    { .title = "WANTED", .priority = 6 },
    { .title = "GATES", .priority = 7, .min = 10 },
    { .title = "WHY", .priority = 3, .min = 12 },
};

static void approval_row(struct table *t, const json_t *x, const void *ctx UNUSED)
{
    size_t i;
    json_t *gate;
    char ago[FORMAT_MAX];
    const char *state = json_str(x, "state");
    _cleanup_buf_ struct buf gates;
    buf_init(&gates, 0);
    json_array_foreach (json_at(x, "gates"), i, gate)
        (void)buf_printf(&gates, "%s%s: %s", i ? "; " : "", json_str(gate, "gate"),
                         json_flag(gate, "held", false) ? "holds" : json_str(gate, "found"));
    table_cell(t, STYLE_DIM, json_str(x, "id"));
    table_cell(t, STYLE_BOLD, json_str(x, "service"));
    table_cell(t, STYLE_NONE, json_str(x, "image"));
    short_commit(t, x, "git.commit");
    table_cell(t, style_of(state), state);
    table_cell(t, STYLE_NONE, format_ago(json_str(x, "createdAt"), ago));
    table_cell(t, STYLE_NONE, buf_str(&gates));
    table_cell(t, STYLE_NONE, json_str(x, "reason"));
}

int cli_ci_approvals(struct cli *c)
{
    static const struct list_view view = { .key = "approvals",
                                           .columns = approval_columns,
                                           .n_columns = ARRAY_LEN(approval_columns),
                                           .row = approval_row,
                                           .empty = "No rule wants anything deployed." };
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    (void)buf_puts(&path, APPROVALS);
    path_query_option(&path, &c->args, "state", "state");
    path_query_option(&path, &c->args, "service", "service");
    return list_show(c, &path, &view);
}

static int decide(struct cli *c, const char *what, const char *done)
{
    const char *id = args_word(&c->args, 0);
    _cleanup_buf_ struct buf path;
    buf_init(&path, 0);
    entity_path(&path, APPROVALS "/", id, what);
    struct api_request rq = { .method = "POST", .path = buf_str(&path) };
    return entity_write(c, &rq, done, id);
}

int cli_ci_approve(struct cli *c)
{
    return decide(c, "/approve", "is approved; it is deployed as soon as its gates hold.");
}

int cli_ci_reject(struct cli *c)
{
    return decide(c, "/reject", "is rejected.");
}

/* ---- figures */

/* The option, else what the CI service that runs us says of itself. */
static const char *told(struct cli *c, const char *option, const char *const variables[2])
{
    const char *value = args_get(&c->args, option);
    for (size_t i = 0; !value && i < 2; i++)
        value = getenv(variables[i]);
    return value && *value ? value : NULL;
}

int cli_ci_figure(struct cli *c)
{
    static const char *const of_repository[2] = { "GITHUB_REPOSITORY", "TRAVIS_REPO_SLUG" };
    static const char *const of_commit[2] = { "GITHUB_SHA", "TRAVIS_COMMIT" };
    double value;
    const char *name = args_word(&c->args, 0), *text = args_word(&c->args, 1);
    const char *repository = told(c, "repository", of_repository), *commit = told(c, "commit", of_commit);
    if (str_to_double(text, &value) < 0)
        return cli_fail(c, CLI_USAGE, "VALUE must be a number, not '%s'", text);
    if (!repository || !commit)
        return cli_fail(c, CLI_USAGE, "outside a CI service, --repository and --commit are needed");
    _cleanup_json_ json_t *body =
        json_pack("{s:s, s:s, s:s, s:f}", "repository", repository, "commit", commit, "name", name, "value", value);
    if (!body)
        return cli_fail(c, CLI_FAILED, "out of memory");
    struct api_request rq = { .method = "POST", .path = "/v1/ci/figures", .body = body };
    return entity_write(c, &rq, "is told.", name);
}
