/* The words after the program's name, parsed by the command table.
 * Ownership: texts borrow argv. Not thread-safe. */
#ifndef HB_CLI_ARGS_H
#define HB_CLI_ARGS_H

#include "base/error.h"
#include "cli/command.h"

#define ARGS_MAX 256
struct args {
    const struct cli_command *command;
    bool help;             /* --help was given */
    const char *help_noun; /* for `nodes --help` and unknown verbs: no command */
    const char *words[ARGS_MAX];
    size_t n_words;
    struct {
        const struct cli_option *option;
        const char *value;
    } options[ARGS_MAX];
    size_t n_options;
};
/* `argv` is without the program's name. ERR_MALFORMED: a usage error, with "did you mean" where something is near. */
int args_parse(struct args *a, int argc, char **argv, struct error *e);

const char *args_word(const struct args *a, size_t i);          /* NULL: not given */
const char *args_get(const struct args *a, const char *option); /* the last one's value; NULL: not given */
bool args_has(const struct args *a, const char *option);
/* Walks the values of a repeated option: *cursor = 0 at first; NULL at the end. */
const char *args_each(const struct args *a, const char *option, size_t *cursor);

#endif
