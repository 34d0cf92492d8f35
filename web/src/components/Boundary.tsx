import { TriangleAlert } from 'lucide-react';
import { Component, type ReactNode } from 'react';
import { Empty } from './States';
import { Button } from './ui/button';

/* A page that breaks takes neither the navigation nor the other pages with it. */
export class Boundary extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };

  static getDerivedStateFromError(error: unknown) {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  override render() {
    const { error } = this.state;
    if (!error) return this.props.children;
    return (
      <div role="alert">
        <Empty icon={TriangleAlert} title="This page could not be shown" action={<Button onClick={() => window.location.reload()}>Load again</Button>}>
          {error.message}
        </Empty>
      </div>
    );
  }
}
