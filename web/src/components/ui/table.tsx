import { useEffect, useRef, useState, type ComponentProps } from 'react';
import { cn } from '@/lib/cn';

/* Scrolls by itself on narrow screens, so that the page never does; where it does, the keyboard can reach it. */
export function Table({ className, ...rest }: ComponentProps<'table'>) {
  const box = useRef<HTMLDivElement>(null);
  const [wide, setWide] = useState(false);
  useEffect(() => {
    const el = box.current;
    if (!el) return;
    const observer = new ResizeObserver(() => setWide(el.scrollWidth > el.clientWidth));
    observer.observe(el);
    return () => observer.disconnect();
  }, []);
  return (
    <div ref={box} className="relative overflow-x-auto" {...(wide && { tabIndex: 0, role: 'region', 'aria-label': 'Table, wider than the screen' })}>
      <table className={cn('w-full border-collapse text-left text-sm', className)} {...rest} />
    </div>
  );
}

export function Th({ className, ...rest }: ComponentProps<'th'>) {
  return <th scope="col" className={cn('border-b border-line px-3 py-2 text-xs first:pl-4 last:pr-4 font-medium whitespace-nowrap text-muted', className)} {...rest} />;
}

export function Td({ className, ...rest }: ComponentProps<'td'>) {
  return <td className={cn('border-b border-line px-3 py-2 align-middle first:pl-4 last:pr-4', className)} {...rest} />;
}

export function Tr({ className, ...rest }: ComponentProps<'tr'>) {
  return <tr className={cn('last:[&>td]:border-b-0 hover:bg-hover/60', className)} {...rest} />;
}
