import { Monitor, Moon, Sun } from 'lucide-react';
import { chooseTheme, useTheme, type ThemeChoice } from '@/state/theme';
import { Button } from '../ui/button';

const NEXT: Record<ThemeChoice, ThemeChoice> = { system: 'light', light: 'dark', dark: 'system' };
const LOOK = { system: Monitor, light: Sun, dark: Moon };
const SAY = { system: 'as the system', light: 'light', dark: 'dark' };

export function ThemeToggle() {
  const choice = useTheme((s) => s.choice);
  const Icon = LOOK[choice];
  const label = `Theme: ${SAY[choice]}. Change to ${SAY[NEXT[choice]]}.`;
  return <Button variant="ghost" size="icon" aria-label={label} title={label} onClick={() => chooseTheme(NEXT[choice])}><Icon aria-hidden /></Button>;
}
