/* The command line: a client of the hub's REST API.
 * Threads: called once, from main. */
#ifndef HB_CLI_CLI_H
#define HB_CLI_CLI_H

/* Exit statuses. */
enum {
    CLI_OK = 0,
    CLI_FAILED = 1,      /* refused or failed */
    CLI_USAGE = 2,
    CLI_UNREACHABLE = 3, /* no hub answers */
    CLI_NOT_ALLOWED = 4, /* 401, 403 */
    CLI_TIMED_OUT = 5,
    CLI_INTERRUPTED = 130,
};

int cli_main(int argc, char **argv);

#endif
