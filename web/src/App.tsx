import { useEffect, type ReactNode } from 'react';
import { BrowserRouter, Navigate, Route, Routes, useLocation } from 'react-router';
import { checkSession } from './api/checkSession';
import { Failed } from './components/States';
import { Shell } from './components/shell/Shell';
import { Toaster } from './components/Toaster';
import { useResource } from './hooks/useResource';
import { patientLazy } from './lib/patientLazy';
import { forgetEntities, receive } from './state/entities';
import { startLive, stopLive } from './state/live';
import { forgetSamples, receiveSample } from './state/samples';
import { useSession } from './state/session';
import { receiveSystemChange } from './state/system';
import type { HubEvent } from './api/events';

const Login = patientLazy(() => import('./pages/Login'));
const Overview = patientLazy(() => import('./pages/Overview'));
const Nodes = patientLazy(() => import('./pages/Nodes'));
const NodeDetail = patientLazy(() => import('./pages/NodeDetail'));
const Services = patientLazy(() => import('./pages/Services'));
const ServiceDetail = patientLazy(() => import('./pages/ServiceDetail'));
const Deploy = patientLazy(() => import('./pages/Deploy'));
const Deployments = patientLazy(() => import('./pages/Deployments'));
const DeploymentDetail = patientLazy(() => import('./pages/DeploymentDetail'));
const RoutesPage = patientLazy(() => import('./pages/Routes'));
const Settings = patientLazy(() => import('./pages/Settings'));
const NotFound = patientLazy(() => import('./pages/NotFound'));

function onEvent(event: HubEvent) {
  if (event.type === 'metric.sampled') receiveSample(event);
  else if (event.type === 'system.updated') receiveSystemChange();
  else receive(event);
}

function RequireSession({ children }: { children: ReactNode }) {
  const { state } = useSession();
  const location = useLocation();
  const { error, reload } = useResource(state.phase === 'unknown' ? 'session' : null, checkSession);
  const inside = state.phase === 'in';
  useEffect(() => {
    if (!inside) return;
    startLive({ onEvent, mayRetry: checkSession });
    return () => {
      stopLive();
      forgetEntities(); // the next to sign in may see less
      forgetSamples();
    };
  }, [inside]);
  if (state.phase === 'unknown') return error ? <Failed error={error} retry={reload} what="The dashboard" /> : null;
  if (state.phase === 'out') return <Navigate to="/login" replace state={{ from: location.pathname + location.search }} />;
  return children;
}

export function App() {
  return (
    <BrowserRouter>
      <Routes>
        <Route path="/login" element={<Login />} />
        <Route element={<RequireSession><Shell /></RequireSession>}>
          <Route index element={<Navigate to="/dashboard" replace />} />
          <Route path="/dashboard" element={<Overview />} />
          <Route path="/nodes" element={<Nodes />} />
          <Route path="/nodes/:id" element={<NodeDetail />} />
          <Route path="/services" element={<Services />} />
          <Route path="/services/new" element={<Deploy />} />
          <Route path="/services/:id" element={<ServiceDetail />} />
          <Route path="/routes" element={<RoutesPage />} />
          <Route path="/deployments" element={<Deployments />} />
          <Route path="/deployments/:id" element={<DeploymentDetail />} />
          <Route path="/settings" element={<Navigate to="/settings/keys" replace />} />
          <Route path="/settings/:tab" element={<Settings />} />
          <Route path="*" element={<NotFound />} />
        </Route>
      </Routes>
      <Toaster />
    </BrowserRouter>
  );
}
