import * as Radix from '@radix-ui/react-tabs';
import { cn } from '@/lib/cn';

export const Tabs = Radix.Root;

export function TabsList({ className, ...rest }: Radix.TabsListProps) {
  return <Radix.List className={cn('flex gap-1 max-md:gap-0.5 overflow-x-auto border-b border-line', className)} {...rest} />;
}

export function TabsTrigger({ className, ...rest }: Radix.TabsTriggerProps) {
  return (
    <Radix.Trigger
      className={cn('-mb-px border-b-2 border-transparent px-3 py-2 text-sm max-md:px-1.5 font-medium whitespace-nowrap text-muted hover:text-ink',
        'data-[state=active]:border-accent data-[state=active]:text-ink', className)}
      {...rest}
    />
  );
}

export function TabsContent({ className, ...rest }: Radix.TabsContentProps) {
  return <Radix.Content className={cn('pt-4 outline-none', className)} {...rest} />;
}
