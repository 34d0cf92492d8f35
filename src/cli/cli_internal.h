/* What the commands of the command line share: the context of one run, and their entry points.
 * Ownership: `struct cli` borrows its streams; the client is its own. Threads: one. */
#ifndef HB_CLI_INTERNAL_H
#define HB_CLI_INTERNAL_H

#include "base/json.h"
#include "base/str.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "cli/term.h"

#include <stdio.h>

struct client;
struct cli {
    FILE *in, *out, *err;
    struct term term; /* of `out` */
    bool asks;        /* in and err are terminals: prompts are possible */
    struct args args;
    struct client *client; /* NULL for local commands */
    bool json;
};

/* Runs one command line; `argv` is without the program's name. Returns an exit status. */
int cli_run(struct cli *c, int argc, char **argv);

/* "hbcloud: …" on the error stream, cleaned for a terminal. Returns `status`. */
int cli_fail(struct cli *c, int status, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Writes the buffer to `out`; a failed write (a full disk, a closed pipe) is CLI_FAILED. */
int cli_put(struct cli *c, struct buf *b);
int cli_write_failed(struct cli *c); /* says errno, but for a pipe whose reader went away */
/* Asks yes or no. CLI_OK: yes; CLI_FAILED: no; CLI_USAGE: cannot ask and --yes was not given. */
int cli_confirm(struct cli *c, const char *question);
/* A line typed by a person or piped in, without its newline; `hidden` without echo. NULL: none. Caller frees. */
char *cli_read_line(struct cli *c, const char *prompt, bool hidden);

/* ctrl-C and SIGTERM set a flag from here on, instead of ending the program. */
void cli_catch_interrupts(void);
bool cli_interrupted(void);
bool cli_sleep(int ms); /* false: interrupted */

int cli_status(struct cli *c);
int cli_nodes_list(struct cli *c);
int cli_nodes_show(struct cli *c);
int cli_nodes_add(struct cli *c);
int cli_nodes_update(struct cli *c);
int cli_nodes_label(struct cli *c);
int cli_nodes_remove(struct cli *c);
int cli_services_list(struct cli *c);
int cli_services_show(struct cli *c);
int cli_services_deploy(struct cli *c);
int cli_services_plan(struct cli *c);
int cli_services_releases(struct cli *c);
int cli_services_rollback(struct cli *c);
int cli_services_scale(struct cli *c);
int cli_health_check(struct cli *c);
int cli_services_start(struct cli *c);
int cli_services_stop(struct cli *c);
int cli_services_restart(struct cli *c);
int cli_services_adopt(struct cli *c);
int cli_services_repair(struct cli *c);
int cli_services_remove(struct cli *c);
int cli_services_logs(struct cli *c);
int cli_compose_config(struct cli *c);
int cli_compose_import(struct cli *c);
int cli_deployments_list(struct cli *c);
int cli_deployments_show(struct cli *c);
int cli_deployments_watch(struct cli *c);
int cli_deployments_cancel(struct cli *c);
int cli_metrics_list(struct cli *c);
int cli_metrics_query(struct cli *c);
int cli_audit_list(struct cli *c);
int cli_audit_verify(struct cli *c);
int cli_keys_list(struct cli *c);
int cli_keys_create(struct cli *c);
int cli_keys_show(struct cli *c);
int cli_keys_revoke(struct cli *c);
int cli_volumes_list(struct cli *c);
int cli_volumes_remove(struct cli *c);
int cli_volumes_snapshot(struct cli *c);
int cli_volumes_snapshots(struct cli *c);
int cli_jobs_list(struct cli *c);
int cli_jobs_show(struct cli *c);
int cli_jobs_cancel(struct cli *c);
int cli_jobs_retry(struct cli *c);
int cli_jobs_schedules(struct cli *c);
int cli_ci_runs(struct cli *c);
int cli_ci_deliveries(struct cli *c);
int cli_ci_rules(struct cli *c);
int cli_ci_add_rule(struct cli *c);
int cli_ci_remove_rule(struct cli *c);
int cli_ci_approvals(struct cli *c);
int cli_ci_approve(struct cli *c);
int cli_ci_reject(struct cli *c);
int cli_ci_figure(struct cli *c);
int cli_secrets_list(struct cli *c);
int cli_secrets_show(struct cli *c);
int cli_secrets_set(struct cli *c);
int cli_secrets_remove(struct cli *c);
int cli_routes_list(struct cli *c);
int cli_routes_show(struct cli *c);
int cli_certificates_list(struct cli *c);
int cli_certificates_show(struct cli *c);
int cli_registrations_list(struct cli *c);
int cli_registries_list(struct cli *c);
int cli_registries_login(struct cli *c);
int cli_registries_logout(struct cli *c);
int cli_config_show(struct cli *c);
int cli_events(struct cli *c);
int cli_login(struct cli *c);
int cli_token(struct cli *c);
int cli_completion(struct cli *c);
int cli_man(struct cli *c);
int cli_version(struct cli *c);
int cli_help(struct cli *c);
int cli_complete(struct cli *c);

#endif
