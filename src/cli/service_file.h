/* A service's document: from a YAML or JSON file, or from options; and the merge patch that makes a service that
 * exists what the document says. Ownership: documents are new references. Threads: one. */
#ifndef HB_CLI_SERVICE_FILE_H
#define HB_CLI_SERVICE_FILE_H

#include "cli/cli_internal.h"

/* The file's document; "-" is standard input. An exit status, said with file and line. */
int service_file_read(struct cli *c, const char *path, json_t **ret);
/* The document of NAME and the options that were given. */
int service_from_options(struct cli *c, json_t **ret);
/* What PATCH takes of the document: all but the name, with the tag that it means said. */
json_t *service_patch(const json_t *document);

#endif
