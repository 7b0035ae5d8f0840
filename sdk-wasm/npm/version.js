export const SDK = 'wakecast-web/0.1.0';
