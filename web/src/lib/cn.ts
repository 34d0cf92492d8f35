import { clsx, type ClassValue } from 'clsx';

export const cn = (...parts: ClassValue[]) => clsx(parts);
