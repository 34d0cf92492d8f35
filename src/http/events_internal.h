/* For the heartbeat's thread and for tests, which do not wait for it. Private to this room. */
#ifndef HB_HTTP_EVENTS_INTERNAL_H
#define HB_HTTP_EVENTS_INTERNAL_H

struct events;
void events_beat(struct events *ev); /* drops closed and expired subscribers, sends the rest a comment */

#endif
