import { Slot } from '@radix-ui/react-slot';
import { cva, type VariantProps } from 'class-variance-authority';
import type { ComponentProps } from 'react';
import { cn } from '@/lib/cn';

const look = cva(
  'inline-flex shrink-0 items-center justify-center gap-1.5 rounded-md font-medium whitespace-nowrap transition-colors disabled:opacity-50 disabled:cursor-not-allowed [&_svg]:size-3.5 [&_svg]:shrink-0',
  {
    variants: {
      variant: {
        primary: 'bg-accent text-on-accent hover:bg-accent/90',
        secondary: 'bg-surface border border-strong text-ink hover:bg-hover',
        ghost: 'text-muted hover:bg-hover hover:text-ink',
        danger: 'bg-surface border border-strong text-bad hover:bg-bad-soft hover:border-bad/40',
      },
      size: {
        md: 'h-8 px-3 text-sm max-md:h-10',
        sm: 'h-7 px-2.5 text-xs max-md:h-9',
        icon: 'size-8 max-md:size-10',
      },
    },
    defaultVariants: { variant: 'secondary', size: 'md' },
  },
);

type Props = ComponentProps<'button'> & VariantProps<typeof look> & { asChild?: boolean; busy?: boolean };

export function Button({ className, variant, size, asChild, busy, type = 'button', disabled, ...rest }: Props) {
  const classes = cn(look({ variant, size }), className);
  if (asChild) return <Slot className={classes} {...rest} />;
  return <button type={type} className={classes} disabled={disabled || busy} aria-busy={busy || undefined} {...rest} />;
}
