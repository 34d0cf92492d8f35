/* What a CI service's own variables say of the run that deploys: which workflow, of which commit, by whom; and a key by
 * which the same run deploys once. Options win over variables. Texts are borrowed of both. Threads: one. */
#ifndef HB_CLI_CI_CALL_H
#define HB_CLI_CI_CALL_H

#include "base/json.h"
#include "cli/args.h"

#define CI_KEY_MAX 256
struct ci_call {
    const char *trigger; /* NULL: no CI, and none was named */
    const char *pipeline, *by, *repository, *branch, *commit, *message, *author;
    const char *run, *attempt; /* NULL: not known; then there is no key */
    const char *key; /* as it was given; NULL: to be made of the run */
    bool annotates; /* its log shows lines of its own form as errors */
};
/* True when there is anything to say. */
bool ci_call_read(const struct args *a, struct ci_call *ret);
void ci_call_fill(const struct ci_call *ci, json_t *document);
/* "" when the run is not known. */
void ci_call_key(const struct ci_call *ci, const char *service, const char *image, char ret[CI_KEY_MAX]);

#endif
