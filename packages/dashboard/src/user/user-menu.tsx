/** The menu behind the user's name: activity, administration (for who may) and signing out. */
import { Menu } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useApi } from '../api/api-context.js';
import { useMe } from './me.js';
import styles from './user-menu.module.css';

export function UserMenu() {
  const user = useMe();
  const signOut = useSignOut();
  return (
    <Menu position="bottom-end" width={200} shadow="md">
      <Menu.Target>
        <button
          type="button"
          className={styles.button}
          aria-label={`Account menu of ${user.name}`}
          data-testid="user-menu"
        >
          <span className={styles.avatar} data-initial={user.name.slice(0, 1)} />
          <span className={styles.name}>{user.name}</span>
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item component={Link} to="/activity">
          Activity
        </Menu.Item>
        {user.role === 'admin' && (
          <Menu.Item component={Link} to="/admin">
            Administration
          </Menu.Item>
        )}
        <Menu.Item onClick={() => signOut.mutate()} closeMenuOnClick={false} data-testid="sign-out">
          {signOut.isError ? 'Signing out failed: try again' : 'Sign out'}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

function useSignOut() {
  const api = useApi();
  const queryClient = useQueryClient();
  const navigate = useNavigate();
  return useMutation({
    mutationFn: api.logout,
    onSuccess: async () => {
      await navigate({ to: '/login' });
      queryClient.clear();
    },
  });
}
