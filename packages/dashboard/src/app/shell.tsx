/** Header around every page but the sign-in itself, which uses the whole window. */
import { Link, Outlet } from '@tanstack/react-router';
import { Brand } from '../ui/brand.js';
import { UserMenu } from '../user/user-menu.js';
import styles from './shell.module.css';

export function Shell() {
  return (
    <div className={styles.shell}>
      <header className={styles.header}>
        <Link to="/remote-cli" className={styles.home}>
          <Brand />
        </Link>
        <UserMenu />
      </header>
      <Outlet />
    </div>
  );
}
