/* A registry's login as an engine takes it with a pull, and how an engine says that it was refused.
 * Ownership: the text is the caller's, who frees it by docker_login_free. Pure functions, thread-safe. */
#ifndef HB_DOCKER_LOGIN_H
#define HB_DOCKER_LOGIN_H

#include "runtime/engine.h"

/* The value of X-Registry-Auth (base64url with padding, as every engine's version reads it). A secret.
 * ERR_VALIDATION when a name or the password is missing or over 4 KiB. */
int docker_login_encode(const struct engine_credentials *c, char **ret, struct error *e);
/* The same for struct docker_login. */
int docker_login_encode_for(void *unused, const struct engine_credentials *c, char **ret, struct error *e);
void docker_login_free(char *text); /* wipes */
/* When an error that a pull ended with is a refused or a missing login, says so in its first words. */
int docker_login_explain(int result, const struct engine_credentials *c, struct error *e);

#endif
