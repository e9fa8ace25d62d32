export * from './index.js';

declare const karakp2p: typeof import('./index.js');
export default karakp2p;
