/* The command table and its words. Help, usage errors, completion, the man page and docs/operations/cli.md all
 * derive from it, so a command or option is described once.
 * Ownership: everything is static. Thread-safe: constants. */
#ifndef HB_CLI_COMMAND_H
#define HB_CLI_COMMAND_H

#include "base/buf.h"

struct cli;

/* What a value is: decides completion, and the check of choices and numbers. */
enum word_kind {
    WORD_TEXT,
    WORD_NODE,
    WORD_SERVICE,
    WORD_DEPLOYMENT,
    WORD_KEY,
    WORD_FILE,
    WORD_CHOICE,
    WORD_NUMBER,
    WORD_DURATION,
    WORD_COMMAND
};

struct cli_option {
    const char *name;    /* without dashes */
    char letter;         /* 0: none */
    const char *value;   /* placeholder; NULL: a switch */
    enum word_kind kind;
    const char *choices; /* of WORD_CHOICE: "a b c" */
    bool repeat;
    const char *help;
};
struct cli_argument {
    const char *name;
    enum word_kind kind;
    const char *choices;
    bool optional, repeat; /* repeat: the last one */
};

enum {
    COMMAND_LIST = 1,   /* --limit, --cursor, --watch */
    COMMAND_WATCH = 2,  /* --watch */
    COMMAND_ASKS = 4,   /* --yes */
    COMMAND_LOCAL = 8,  /* asks no hub: no --url, --key-file, --json */
    COMMAND_HIDDEN = 16,
    COMMAND_RAW = 32,   /* arguments are not parsed */
};

#define COMMAND_OPTIONS_MAX 40
#define COMMAND_ARGUMENTS_MAX 3
struct cli_command {
    const char *noun, *verb; /* verb NULL: one word */
    const char *summary;     /* one line */
    const char *details;     /* a paragraph or NULL */
    const char *examples;    /* lines or NULL */
    unsigned flags;
    struct cli_argument arguments[COMMAND_ARGUMENTS_MAX];
    const struct cli_option *options; /* ends with a NULL name; NULL: none */
    int (*run)(struct cli *c);        /* an exit status; NULL: main.c runs it */
};
extern const struct cli_command cli_commands[];
extern const size_t cli_commands_len;

const struct cli_command *command_find(const char *noun, const char *verb); /* NULL: none */
bool command_is_noun(const char *noun);
/* The options a command takes: its own, then those of its flags and the global ones. Returns how many. */
size_t command_options(const struct cli_command *command, const struct cli_option *ret[COMMAND_OPTIONS_MAX + 8]);
#define COMMAND_ALL_OPTIONS (COMMAND_OPTIONS_MAX + 8)
void command_name(const struct cli_command *command, char ret[64]);            /* "nodes list" */
void command_usage(const struct cli_command *command, struct buf *out); /* "hbcloud nodes show NODE [options]" */

/* help.c */
void help_overview(struct buf *out);
void help_noun(const char *noun, struct buf *out);
void help_command(const struct cli_command *command, struct buf *out);
void help_markdown(struct buf *out);
void help_man(struct buf *out);
#define CLI_NAME "hbcloud"

#endif
