import { render, screen, waitFor } from '@testing-library/react';
import { describe, expect, it } from 'vitest';
import { InfrastructureNodeCard } from '@/components/InfrastructureNodeCard';
import { mockInfrastructureNode } from '@/tests/mocks';

describe('InfrastructureNodeCard', () => {
  it('shows name, uptime and that Datadog watches the node', async () => {
    const node = mockInfrastructureNode({
      name: 'hetzner-gateway-01',
      status: 'active',
      monitoring: { datadogHost: 'gateway-01', lastHealthCheck: new Date().toISOString(), uptime: 99.95 },
    });
    render(<InfrastructureNodeCard node={node} />);
    expect(screen.getByText('hetzner-gateway-01')).toBeInTheDocument();
    expect(screen.getByText('99.95% uptime')).toBeInTheDocument();
    await waitFor(() => expect(screen.getByTestId('datadog-status')).toHaveClass('status-healthy'));
  });

  it('says when there is no monitoring data', () => {
    render(<InfrastructureNodeCard node={mockInfrastructureNode({ monitoring: { lastHealthCheck: null } })} />);
    expect(screen.getByText('Monitoring data unavailable')).toBeInTheDocument();
    expect(screen.queryByText(/% uptime/)).not.toBeInTheDocument();
  });

  it('does not claim that Datadog watches a node that it does not know', () => {
    render(<InfrastructureNodeCard node={mockInfrastructureNode({ monitoring: { datadogHost: null, lastHealthCheck: new Date().toISOString() } })} />);
    expect(screen.getByTestId('datadog-status')).not.toHaveClass('status-healthy');
    expect(screen.getByTestId('datadog-status')).toHaveTextContent('not configured');
  });

  it('does not call a watch healthy whose last check is old', () => {
    const old = new Date(Date.now() - 3_600_000).toISOString();
    render(<InfrastructureNodeCard node={mockInfrastructureNode({ monitoring: { datadogHost: 'attic', lastHealthCheck: old } })} />);
    expect(screen.getByTestId('datadog-status')).toHaveClass('status-stale');
    expect(screen.getByText('1 h ago')).toBeInTheDocument();
  });
});
