/** What stands between the tests and the network: one for all files of a process, see `network.ts`. */
import { setupServer } from 'msw/node';

export const network = setupServer();
