import { useEffect } from 'react';
import { hub } from '@/api/hub';
import { useSystemChange } from '@/state/system';
import { useResource } from './useResource';

export function useSystem() {
  const count = useSystemChange((s) => s.count);
  const resource = useResource('system', (signal) => hub.system(signal));
  const { reload } = resource;
  useEffect(() => {
    if (count > 0) reload();
  }, [count, reload]);
  return resource;
}
