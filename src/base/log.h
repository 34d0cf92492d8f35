/* The log: JSON lines, or human lines on a terminal. One line a call, written whole.
 * A request id set for the thread goes into each line (`log_context`). Thread-safe.
 * Only the faces, the handlers and the job runner log above debug; libraries return errors. */
#ifndef HB_LOG_H
#define HB_LOG_H

#include "base/base.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_AUTO, LOG_JSON, LOG_HUMAN };

void log_init(enum log_level level, enum log_format format, int fd);
int log_level_parse(const char *name, enum log_level *ret); /* -EINVAL */
bool log_enabled(enum log_level level);
/* Request or job id for the lines of this thread; NULL or "" ends it. Copied. */
void log_context(const char *id);
const char *log_context_get(void);

void log_write(enum log_level level, const char *room, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* A file defines LOG_ROOM ("http") before its includes to use these. */
#define log_debug(...) log_write(LOG_DEBUG, LOG_ROOM, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, LOG_ROOM, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, LOG_ROOM, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERROR, LOG_ROOM, __VA_ARGS__)

#endif
