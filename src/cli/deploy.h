/* Deploying one document, for the commands that do. Ownership: replies are the caller's. Threads: one. */
#ifndef HB_CLI_DEPLOY_H
#define HB_CLI_DEPLOY_H

#include "cli/client.h"

/* Makes the service of the document's name, or changes it to what the document says (`whole`: all of it). An exit
 * status, said when it is no CLI_OK; the deployment's id is in `ret`. */
int deploy_document(struct cli *c, const json_t *document, bool whole, struct api_reply *ret);

#endif
