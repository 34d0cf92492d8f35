import { lazy, type ComponentType } from 'react';

const WAITS_MS = [300, 1500];

/* React.lazy, with further tries: a page's file may fail to come for reasons that pass by themselves. */
export function patientLazy(load: () => Promise<{ default: ComponentType }>) {
  return lazy(async () => {
    for (const ms of WAITS_MS) {
      try {
        return await load();
      } catch {
        await new Promise((done) => setTimeout(done, ms));
      }
    }
    return load();
  });
}
