import { StrictMode, Suspense } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './App';
import './index.css';
import { followSystemTheme } from './state/theme';

const root = document.getElementById('root');
if (!root) throw new Error('index.html has no #root');
followSystemTheme();
createRoot(root).render(
  <StrictMode>
    <Suspense fallback={null}><App /></Suspense>
  </StrictMode>,
);
