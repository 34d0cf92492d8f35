/* Light, dark, or as the system says. The choice is the only thing this dashboard keeps in localStorage. */
import { create } from 'zustand';

export type ThemeChoice = 'system' | 'light' | 'dark';
const KEY = 'hbcloud-theme';

function stored(): ThemeChoice {
  try {
    const value = localStorage.getItem(KEY);
    return value === 'light' || value === 'dark' ? value : 'system';
  } catch {
    return 'system';
  }
}

const systemDark = () => matchMedia('(prefers-color-scheme: dark)').matches;
const resolve = (choice: ThemeChoice) => (choice === 'system' ? (systemDark() ? 'dark' : 'light') : choice);

export const useTheme = create<{ choice: ThemeChoice; shown: 'light' | 'dark' }>(() => {
  const choice = stored();
  return { choice, shown: resolve(choice) };
});

function show(choice: ThemeChoice) {
  const shown = resolve(choice);
  document.documentElement.dataset.theme = shown;
  useTheme.setState({ choice, shown });
}

export function chooseTheme(choice: ThemeChoice) {
  try {
    if (choice === 'system') localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, choice);
  } catch {
    /* storage is off: the choice lasts until the page is left */
  }
  show(choice);
}

export function followSystemTheme() {
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => show(useTheme.getState().choice));
}
