/* Runs one command line inside the test and keeps what it wrote. */
#ifndef HB_TESTS_RUN_CLI_H
#define HB_TESTS_RUN_CLI_H

#include "cli/cli_internal.h"

struct ran {
    int status;
    char *out, *err; /* by ran_done freed */
};
/* The words in one string, parted by single blanks; `input` is standard input or NULL. No terminal. */
struct ran run_cli(const char *words, const char *input);
void ran_done(struct ran *r);
/* A home of its own without any of our variables; removes the one before. */
const char *fresh_home(void);

#endif
