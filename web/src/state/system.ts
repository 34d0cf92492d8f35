/* Counts up when the hub says that something about itself changed; what shows it reads it again. */
import { create } from 'zustand';

export const useSystemChange = create<{ count: number }>(() => ({ count: 0 }));
export const receiveSystemChange = () => useSystemChange.setState((s) => ({ count: s.count + 1 }));
